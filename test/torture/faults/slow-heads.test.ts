import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { connect, listen } from '../../helpers/net.ts'
import { answer, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MANY = 1_000
/** Milliseconds. */
const HEAD_TIMEOUT = 2_500
const SLOWNESS = 1_000

const TIMED_OUT = answer('408 Request Timeout', 'HEAD_TIMEOUT')

/** A client that sends a byte per second as long as it can. */
class SlowClient {
  text = ''
  error: Error | undefined
  readonly #socket: net.Socket
  readonly closed: Promise<void>
  #sent = 0

  /** An `isStubborn` client continues after the answer, and never ends its side. */
  constructor(port: number, isStubborn: boolean) {
    this.#socket = net.connect({ port, host, allowHalfOpen: isStubborn })
    this.#socket.on('error', (error) => {
      this.error = error
    })
    this.#socket.setEncoding('latin1').on('data', (chunk) => {
      this.text += chunk
    })
    this.closed = new Promise((resolve) => this.#socket.on('close', resolve))
  }

  send(): void {
    if (this.#socket.writable) this.#socket.write(GET[this.#sent++]!)
  }
}

test(`answers 408 to ${MANY} clients that send a byte per second and closes them, while others are served`, async () => {
  const watch = new Watch()
  const backend = net.createServer((socket) => void socket.on('error', () => undefined).end(OK))
  const dest = { port: await listen(backend), host }
  const { port, server } = await startProxy({ lookup: () => dest, headTimeout: HEAD_TIMEOUT })
  // One client in ten would never leave.
  const slow = Array.from({ length: MANY }, (_, i) => new SlowClient(port, i % 10 === 0))
  const send = setInterval(() => {
    for (const client of slow) client.send()
  }, SLOWNESS)
  onTestFinished(() => clearInterval(send))
  await watch.until('open', MANY)
  expect(server.counters.accepted).toBe(MANY)

  let isOver = false
  const gone = Promise.all(slow.map(({ closed }) => closed)).then(() => (isOver = true))
  let served = 0
  let longest = 0
  while (!isOver) {
    const start = performance.now()
    const client = await connect(port)
    client.end(GET)
    expect(await client.ended()).toBe(OK)
    longest = Math.max(longest, performance.now() - start)
    served++
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 5))])
  }
  // Shows why a client got no answer.
  const unanswered = slow.filter(({ text }) => text === '')
  expect([unanswered.map(({ error }) => error), watch.codes.filter((code) => code !== 'HEAD_TIMEOUT')]).toEqual([
    [],
    [],
  ])
  for (const { text } of slow) expect(withoutDate(text)).toBe(TIMED_OUT)
  expect(watch.codes.filter((code) => code === 'HEAD_TIMEOUT')).toHaveLength(MANY)
  await expect.poll(() => server.active.size).toBe(0)
  expect(server.counters.outcomes.HEAD_TIMEOUT).toBe(MANY)
  expect(served).toBeGreaterThan(10)
  report(
    `${MANY} slow heads`,
    `${MANY} got 408 and were gone; ${served} others served, the slowest in ${longest.toFixed(0)} ms`,
  )
})
