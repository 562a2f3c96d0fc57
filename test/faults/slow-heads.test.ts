import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { connect, listen } from '../helpers/net.ts'
import { answer, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { report } from '../helpers/report.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MANY = 1_000
/** ms. */
const HEAD_TIMEOUT = 2_500
const SLOWNESS = 1_000

const TIMED_OUT = answer('408 Request Timeout', 'HEAD_TIMEOUT')

/** A client that sends a byte a second for as long as it can. */
class SlowClient {
  text = ''
  readonly #socket: net.Socket
  readonly closed: Promise<void>
  #sent = 0

  /** `isStubborn`: it goes on when it has been answered, and never ends its side. */
  constructor(port: number, isStubborn: boolean) {
    this.#socket = net.connect({ port, host, allowHalfOpen: isStubborn })
    this.#socket.on('error', () => undefined)
    this.#socket.setEncoding('latin1').on('data', (chunk) => {
      this.text += chunk
    })
    this.closed = new Promise((resolve) => this.#socket.on('close', resolve))
  }

  send(): void {
    if (this.#socket.writable) this.#socket.write(GET[this.#sent++]!)
  }
}

test(`${MANY} clients that send a byte a second all get their 408 and are gone, and others are served meanwhile`, async () => {
  const watch = new Watch()
  const backend = net.createServer((socket) => void socket.on('error', () => undefined).end(OK))
  const dest = { port: await listen(backend), host }
  const { port, server } = await startProxy({ lookup: () => dest, headTimeout: HEAD_TIMEOUT })
  // One in ten is no client that would ever leave.
  const slow = Array.from({ length: MANY }, (_, i) => new SlowClient(port, i % 10 === 0))
  const send = setInterval(() => {
    for (const client of slow) client.send()
  }, SLOWNESS)
  onTestFinished(() => clearInterval(send))
  await watch.until('open', MANY)
  expect(server.active.size).toBe(MANY)

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
  for (const { text } of slow) expect(withoutDate(text)).toBe(TIMED_OUT)
  expect(watch.codes.filter((code) => code === 'HEAD_TIMEOUT')).toHaveLength(MANY)
  expect(server.counters.badHeads).toBe(MANY)
  await expect.poll(() => server.active.size).toBe(0)
  expect(served).toBeGreaterThan(10)
  report(
    `${MANY} slow heads`,
    `${MANY} got 408 and were gone; ${served} others served, the slowest in ${longest.toFixed(0)} ms`,
  )
})
