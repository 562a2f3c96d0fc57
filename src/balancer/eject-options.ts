import { anObject, integer, milliseconds, type Rules, validateOptions } from '../validate.ts'
import { type Ranges, readStatus } from './health/index.ts'

export interface EjectOptions {
  /** Failures in a row that eject a backend. */
  failures: number
  /** How long the first ejection takes (ms), with jitter. Each further one takes twice as long. Default 10000. */
  min?: number | undefined
  /** How long an ejection takes at most (ms). Default 300000. */
  max?: number | undefined
  /** Statuses from 500 to 599 that are failures, as in `HealthOptions`. Default '502-504'. */
  status?: number | readonly number[] | string | undefined
}

/** Validated options, defaults filled in. */
export interface EjectSettings {
  readonly failures: number
  readonly min: number
  readonly max: number
  readonly status: Ranges
}

const A_DAY = 24 * 60 * 60 * 1000

const RULES: Rules<keyof EjectOptions> = {
  failures: integer(1, 1_000_000),
  min: milliseconds(1, A_DAY, 10_000),
  max: milliseconds(1, A_DAY, 300_000),
  status: {
    expected: "a status from 500 to 599, a list of them, or ranges, as in '502-504' or '500,502-504'",
    // A client can cause any other status, and would eject backends.
    validate: (value) => readStatus(value)?.every(([least]) => least >= 500) === true,
    default: '502-504',
  },
}

export const EJECT_RULE = {
  expected: `${RULES.failures.expected}, or an object`,
  validate: (value: unknown): boolean =>
    value === undefined || RULES.failures.validate(value) || anObject.validate(value),
}

/** @throws {TypeError} for an unknown or invalid option */
export function validateEject(eject: number | EjectOptions | undefined): EjectSettings | undefined {
  if (eject === undefined) return undefined
  const options = typeof eject === 'number' ? { failures: eject } : eject
  const settings = validateOptions('eject', RULES, options) as unknown as EjectSettings
  const { min, max } = settings
  if (min > max) throw new TypeError(`eject.min: expected no more than eject.max, which is ${max}, got ${min}`)
  return { ...settings, status: readStatus(settings.status)! }
}
