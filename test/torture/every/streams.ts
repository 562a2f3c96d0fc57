import { Random } from '../soak/random.ts'
import type { Sent } from './client.ts'
import { TRICKS, type Trick } from './tricks.ts'

/** How the backend answers. The name is a part of the path. */
const ANSWERS = ['ok', 'chunks', '204', '304', 'early', 'last', 'trailers', 'hints', 'cut', 'own'] as const
/** 'own': lookup answers. 'switch': a 101, to an upgrade. */
export type AnswerKind = (typeof ANSWERS)[number] | 'switch'

/** What a client sends on one connection. */
export interface Stream extends Sent {
  /** The body by path. A reader that accepts the request must read exactly this. */
  readonly bodies: ReadonlyMap<string, string>
  /** The bytes behind a request, by path. */
  readonly rests: ReadonlyMap<string, string>
}

/** The share of paths for which lookup or modify changes the framing. */
const ATTACKS = 0.08

function request(random: Random, trick: Trick, path: string, bodies: Map<string, string>): [string, string] {
  const attack = random.chance(ATTACKS) ? `-${random.pick(['lookup', 'modify'])}${random.between(0, 11)}` : ''
  const offers = /^Upgrade:/m.test(trick.write('', '')) && random.chance(0.6)
  const target = `${path}-${offers ? 'switch' : random.pick(ANSWERS)}${attack}`
  const inner = `GET ${path}-hidden HTTP/1.1\r\nHost: hidden\r\nX-Id: hidden\r\n\r\n`
  const body = trick.body?.(inner)
  if (body !== undefined) bodies.set(target, body)
  return [target, trick.write(target, inner)]
}

function streamOf(random: Random, number: number, tricks: readonly Trick[]): Stream {
  const bodies = new Map<string, string>()
  const requests = tricks.map((trick, k) => request(random, trick, `/${number}/${k}`, bodies))
  const endsAtOnce = tricks.some(({ isOpen }) => isOpen) || random.chance(0.5)
  const last = endsAtOnce ? '' : `GET /${number}/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
  const parts = [...requests.map(([, text]) => text), last]
  const rests = new Map(requests.map(([target], k) => [target, parts.slice(k + 1).join('')]))
  const bytes = Buffer.from(parts.join(''), 'latin1')
  const cuts = Array.from({ length: random.between(0, 4) }, () => random.between(1, bytes.length - 1))
  return { bytes, cuts: cuts.sort((a, b) => a - b), endsAtOnce, bodies, rests }
}

/** Each trick before and after a plain request, and then random pairs and triples. */
export function streamsOf(seed: number, count: number): Stream[] {
  const random = new Random(seed)
  const plain = TRICKS[0]!
  const pairs = TRICKS.map((trick) => (random.chance(0.7) ? [trick, plain] : [plain, trick, plain]))
  const others = Array.from({ length: count }, () =>
    Array.from({ length: random.between(2, 3) }, () => random.pick(TRICKS)),
  )
  return [...pairs, ...others].map((tricks, number) => streamOf(random, number, tricks))
}
