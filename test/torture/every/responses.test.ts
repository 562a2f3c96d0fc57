import net from 'node:net'
import { expect, test } from 'vitest'
import { type Head, HeadScanner } from '../../../src/parser/index.ts'
import { listen } from '../../helpers/net.ts'
import { startProxy } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'
import { Random } from '../soak/random.ts'
import { send } from './client.ts'
import { faultOfAnswers } from './oracle.ts'
import { RESPONSE_TRICKS } from './responses.ts'
import type { Asked } from './witness.ts'

const SEED = Number(process.env.EVERY_SEED ?? Date.now() % 2 ** 31)
const RUNS = Number(process.env.EVERY_RUNS ?? 150)
const LANES = 8

/** The number of the trick that answers a path. */
const trickOf = (path: string) => RESPONSE_TRICKS[Number(/-(\d+)$/.exec(path)?.[1] ?? 0)]!

/** Answers each request as its path says, and reads on. */
function startBackend(): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const scanner = new HeadScanner('request')
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      let bytes: Uint8Array = chunk
      while (bytes.length > 0 && scanner.push(bytes) === 'head') {
        const { target } = scanner.head!
        bytes = scanner.rest
        scanner.reset()
        const trick = trickOf(target)
        socket.write(Buffer.from(trick.write(`X-Path: ${target}\r\n`), 'latin1'))
        if (trick.ends) socket.end()
      }
    })
  })
  return listen(server)
}

/** Requests for each trick between two others, then random ones. The last one of each client is plain. */
function streamsOf(random: Random): string[] {
  const tricks = RESPONSE_TRICKS.map((_, k) => [0, k, 0])
  const others = Array.from({ length: RUNS }, () =>
    Array.from({ length: random.between(2, 4) }, () => random.between(0, RESPONSE_TRICKS.length - 1)),
  )
  return [...tricks, ...others].map((numbers, n) => {
    const requests = numbers.map((k, i) => {
      const method = random.chance(0.15) ? 'HEAD' : 'GET'
      const version = random.chance(0.1) ? 'HTTP/1.0\r\nConnection: keep-alive' : 'HTTP/1.1'
      return `${method} /${n}/${i}-${k} ${version}\r\nHost: a\r\n\r\n`
    })
    return `${requests.join('')}GET /${n}/last-0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
  })
}

/** The bodies that a valid response may have. */
function wanted({ method, path }: Pick<Asked, 'method' | 'path'>): string[] | undefined {
  const { body } = trickOf(path)
  if (method === 'HEAD') return ['']
  return body === undefined ? undefined : [body]
}

test.for([false, true])(
  'each client gets the answers to its requests, whatever backends send: lenientResponses %s',
  async (lenientResponses) => {
    const asked: Asked[] = []
    const backend = await startBackend()
    const { port } = await startProxy({
      requests: 'every',
      lenientResponses,
      lookup: ({ method, target, version }: Head) => {
        asked.push({ method, path: target, id: '', minor: version === 'HTTP/1.0' ? '0' : '1' })
        return { port: backend, host: '127.0.0.1' }
      },
    })
    const streams = streamsOf(new Random(SEED))
    const faults: string[] = []
    let next = 0
    let whole = 0
    const lane = async () => {
      while (next < streams.length) {
        const number = next++
        const bytes = Buffer.from(streams[number]!)
        const received = await send(port, { bytes, cuts: [], endsAtOnce: false })
        const own = asked.filter(({ path }) => path.startsWith(`/${number}/`))
        const fault = faultOfAnswers(received, own, wanted)
        if (fault) faults.push(fault)
        if (received.text.includes('/last-0')) whole++
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    expect(faults, `EVERY_SEED=${SEED}`).toEqual([])
    expect(whole).toBeGreaterThan(0)
    report(
      'clients of hostile responses',
      `${streams.length}, seed ${SEED}, ${whole} were served to their last request`,
    )
  },
)
