import { type Answer, Answers } from '../answers.ts'
import { Verifier } from '../pattern.ts'
import type { Random } from '../random.ts'
import type { Visit } from '../visit.ts'

/** A body that client and backend both know. */
export interface Body {
  seed: number
  length: number
  isChunked: boolean
  /** Bytes in each write of the sender; undefined: 64 KiB. */
  piece: number | undefined
}

const KIB = 1024
export const MIB = 1024 * KIB

export function someBody(random: Random, least: number, most: number): Body {
  const isSmall = most <= 64 * KIB
  return {
    seed: random.between(0, 999_999),
    length: random.chance(0.05) ? 0 : random.size(least, most),
    isChunked: random.chance(0.5),
    // A piece of a few bytes costs as much as a large one, so only small bodies get them.
    piece: random.chance(0.3) ? random.size(isSmall ? 10 : 4 * KIB, 64 * KIB) : undefined,
  }
}

/** A request head. */
export function head(method: string, target: string, ...fields: string[]): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: soak.test', ...fields, '\r\n'].join('\r\n')
}

export function get({ seed, length, isChunked, piece }: Body, ...fields: string[]): string {
  const target = `/body?seed=${seed}&length=${length}&chunked=${Number(isChunked)}&piece=${piece ?? 0}`
  return head('GET', target, ...fields)
}

/** Reads the answer with this body. Waits for `slowly` after each chunk. */
export async function take(
  visit: Visit,
  answers: Answers,
  { seed, length }: Body,
  slowly?: () => Promise<void>,
): Promise<Answer> {
  const answer = await answers.ok()
  visit.identify(answer)
  const verifier = new Verifier(seed, length)
  for await (const chunk of answers.body(answer)) {
    verifier.push(chunk)
    await slowly?.()
  }
  verifier.end()
  return answer
}

/** Requests a body on a new connection, which ends with the answer. */
export async function ask(
  visit: Visit,
  body: Body,
  fields: string[] = [],
  slowly?: () => Promise<void>,
): Promise<Answer> {
  const wire = visit.wire()
  const answers = new Answers(wire)
  await wire.write(get(body, 'Connection: close', ...fields))
  const answer = await take(visit, answers, body, slowly)
  await answers.end()
  visit.did('complete')
  return answer
}
