import { withTimeout } from '../timeout.ts'
import type { Member } from './member.ts'
import type { Kind, Orders, Result } from './messages.ts'

/** ms to wait for a worker. After that its previous report counts. */
const ANSWER_MS = 1_000

export type Answers<K extends Kind> = Promise<NonNullable<Result<K>>[]>

/** Without those that are silent: waiting for them each time would take too long. */
export function awake(members: readonly Member[]): Member[] {
  return members.filter(({ isSilent }) => !isSilent)
}

/** Sends an order to workers. Returns the results of those that answer in time. */
export async function answersOf<K extends Kind>(
  members: readonly Member[],
  kind: K,
  ...given: Parameters<Orders[K]>
): Answers<K> {
  const results = await Promise.all(members.map((member) => soon(member.ask(kind, ...given))))
  return results.filter((result) => result !== undefined) as Awaited<Answers<K>>
}

/** Undefined if the answer fails or takes too long. */
export async function soon<T>(answer: Promise<T>): Promise<T | undefined> {
  return withTimeout(
    answer.catch(() => undefined),
    ANSWER_MS,
    () => undefined,
  )
}
