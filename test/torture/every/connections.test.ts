import { describe, expect, type TestContext, test } from 'vitest'
import { hasProgram } from '../../helpers/peers.ts'
import { report } from '../../helpers/report.ts'
import { BACKENDS, type Seen, startRecorder } from './backends.ts'
import { type Received, send } from './client.ts'
import { faultOfAnswers, faultOfSeen, faultOfWire } from './oracle.ts'
import { type Stream, streamsOf } from './streams.ts'
import { type Asked, startWitness } from './witness.ts'

const SEED = Number(process.env.EVERY_SEED ?? Date.now() % 2 ** 31)
const STREAMS = streamsOf(SEED, Number(process.env.EVERY_RUNS ?? 80))
/** Maximum number of open connections. */
const LANES = 16

/** What the client of each stream received. */
async function sendAll(port: number, streams: readonly Stream[]): Promise<Received[]> {
  const received: Received[] = []
  let next = 0
  const lane = async () => {
    while (next < streams.length) {
      const number = next++
      received[number] = await send(port, streams[number]!)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return received
}

/** The items of a stream. Its number is the first part of each path. */
function of<T extends { path: string }>(number: number, all: readonly T[]): T[] {
  return all.filter(({ path }) => path.startsWith(`/${number}/`))
}

const isIdempotent = ({ method }: Seen) => ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].includes(method)

/** The requests that the backend saw and lookup did not. */
function disagreements(streams: readonly Stream[], asked: readonly Asked[], seen: readonly Seen[]): unknown[] {
  const wrong = streams.flatMap((stream, number) => {
    const left = of(number, asked)
    return of(number, seen).flatMap((request) => {
      const at = left.findIndex(({ id }) => id === request.id)
      const why = faultOfSeen(left[at], request, stream)
      // A reused connection that ends without an answer makes the proxy send the request again.
      left.splice(0, isIdempotent(request) ? at : at + 1)
      return why ? [{ why, request, sent: stream.bytes.toString('latin1') }] : []
    })
  })
  const strays = seen.filter(({ path }) => !/^\/\d+\//.test(path))
  return [...wrong, ...strays]
}

/** These requests in sequence, up to the first upgrade. Some servers drop the bytes behind it. */
function inOne(requests: readonly string[]): string {
  const upgrade = requests.findIndex((request) => /^Upgrade:/im.test(request))
  return (upgrade < 0 ? requests : requests.slice(0, upgrade))
    .map((request) => request.replace(/^((?:[^\r]+\r\n)*)Connection: close\r\n/, '$1'))
    .join('')
}

async function needs(program: string, { skip }: Pick<TestContext, 'skip'>): Promise<void> {
  if (program === 'node' || hasProgram(program)) return
  if (process.env.CI) throw new Error(`this test needs ${program}, and it is not installed`)
  skip(`${program} is not installed`)
}

describe(`seed ${SEED}`, () => {
  report('connections: seed', String(SEED))

  test.for(BACKENDS)(
    'lookup saw every request that %s saw, with the same framing, and each client got its answers',
    async ([program, start], context) => {
      await needs(program, context)
      const recorder = await startRecorder(program === 'node')
      const { port, asked } = await startWitness(await start(recorder.port))
      const received = await sendAll(port, STREAMS)
      expect(disagreements(STREAMS, asked, recorder.seen), `EVERY_SEED=${SEED}`).toEqual([])
      const ids = new Map(asked.map((one) => [one.id, one]))
      const wires = recorder.wires.flatMap((wire) => faultOfWire(wire, ids) ?? [])
      expect(wires, `EVERY_SEED=${SEED}: bytes that the backend got`).toEqual([])
      const answers = received.flatMap((all, number) => faultOfAnswers(all, of(number, asked)) ?? [])
      expect(answers, `EVERY_SEED=${SEED}: answers that the clients got`).toEqual([])
      expect(recorder.seen.length).toBeGreaterThan(STREAMS.length / 2)
      report(`requests that ${program} saw`, `${recorder.seen.length}, all of them seen by lookup`)
    },
  )

  // The requests of a client arrive in sequence, as on a backend connection that never closes.
  test('each backend reads the sent bytes as those requests, on one connection', async (context) => {
    const sent = new Map<string, Buffer[]>()
    const direct = await startRecorder(true)
    const { port, asked } = await startWitness(direct.port, sent)
    await sendAll(port, STREAMS)
    const whole = direct.seen.filter(({ isWhole }) => isWhole)
    const bodies = new Map(whole.map(({ path, body }) => [path, body]))
    const streams = STREAMS.map((_, number): Stream => {
      const requests = of(number, whole).map(({ id }) => Buffer.concat(sent.get(id!)!).toString('latin1'))
      const last = `GET /${number}/last HTTP/1.1\r\nHost: a\r\nX-Id: last\r\nConnection: close\r\n\r\n`
      const bytes = Buffer.from(inOne(requests) + last, 'latin1')
      return { bytes, cuts: [], endsAtOnce: false, bodies, rests: new Map() }
    })
    for (const [program, start] of BACKENDS) {
      await needs(program, context)
      const recorder = await startRecorder(false)
      await sendAll(await start(recorder.port), streams)
      const seen = recorder.seen.filter(({ id }) => id !== 'last')
      expect(disagreements(streams, asked, seen), `EVERY_SEED=${SEED}: ${program}`).toEqual([])
    }
  })
})
