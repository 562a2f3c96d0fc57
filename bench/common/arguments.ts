import { type ParseArgsConfig, parseArgs } from 'node:util'
import { Complaint } from './complaint.ts'

/** The values of the options, as `node:util` reads them. @throws {Complaint} on an argument that is unknown or wrong */
export function readOptions<const O extends NonNullable<ParseArgsConfig['options']>>(args: string[], options: O) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    // Node explains at length; the first sentence says what is wrong.
    throw new Complaint((error as Error).message.split(/[.\n]/)[0]!)
  }
}

const UNITS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600 }

/** Seconds, of '45', '45s', '20m', '1h'. @throws {Complaint} on what is none of these, or 0 */
export function readDuration(option: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault
  const [, number, unit] = /^([1-9]\d{0,5})([smh]?)$/.exec(text) ?? []
  if (number === undefined) throw new Complaint(`${option}: got '${text}'; takes a time, as 45s, 20m or 1h`)
  return Number(number) * UNITS[unit!]!
}

/** @throws {Complaint} on what is no number from 1 to 9999 */
export function readNumber(option: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Complaint(`${option}: got '${text}'; takes a number from 1 to 9999`)
  return Number(text)
}
