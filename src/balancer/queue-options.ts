import { anObject, integer, milliseconds, type Rules, validateOptions } from '../validate.ts'

export interface QueueOptions {
  /** How long a request waits at most (ms). */
  timeout: number
  /** How many wait at most, per process; further ones get a 503 at once. Default 1024. */
  size?: number | undefined
}

/** Validated options, defaults filled in. */
export type QueueSettings = Readonly<Required<{ [K in keyof QueueOptions]: number }>>

const RULES: Rules<keyof QueueOptions> = {
  timeout: milliseconds(1, 24 * 60 * 60 * 1000),
  size: integer(1, 1_000_000, 1024),
}

export const QUEUE_RULE = {
  expected: `${RULES.timeout.expected}, or an object`,
  validate: (value: unknown): boolean =>
    value === undefined || RULES.timeout.validate(value) || anObject.validate(value),
}

/** @throws {TypeError} for an unknown or invalid option */
export function validateQueue(queue: number | QueueOptions | undefined): QueueSettings | undefined {
  if (queue === undefined) return undefined
  const options = typeof queue === 'number' ? { timeout: queue } : queue
  return validateOptions('queue', RULES, options) as unknown as QueueSettings
}
