import { fileURLToPath } from 'node:url'
import { readDuration, readNumber, readOptions } from '../common/arguments.ts'
import { Complaint } from '../common/complaint.ts'

export interface Arguments {
  /** Whether it is as long as the one whose results are kept. */
  isShort: boolean
  seconds: number
  seed: number
  workers: number
  /** Where the results go; nowhere where not said. */
  out: string | undefined
}

const FULL_SECONDS = 20 * 60
const SHORT_SECONDS = 45

/** @throws {Complaint} on an argument that is unknown or wrong */
export function readArguments(args: string[]): Arguments {
  const values = readOptions(args, {
    short: { type: 'boolean', default: false },
    duration: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    out: { type: 'string' },
  })
  if (values.short && values.duration !== undefined) throw new Complaint('--short: goes without --duration')
  const seconds = readDuration('--duration', values.duration, values.short ? SHORT_SECONDS : FULL_SECONDS)
  const isShort = seconds < FULL_SECONDS
  return {
    isShort,
    seconds,
    seed: readNumber('--seed', values.seed, 1 + Math.floor(Math.random() * 9999)),
    workers: readNumber('--workers', values.workers, 1),
    // The short form is a glance: it goes nowhere unless it is told to.
    out: values.out ?? (isShort ? undefined : fileURLToPath(new URL('../../results', import.meta.url))),
  }
}
