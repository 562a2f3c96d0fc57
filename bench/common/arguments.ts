import { type ParseArgsConfig, parseArgs } from 'node:util'
import { Complaint } from './complaint.ts'

/** The values of the options, as `node:util` reads them. @throws {Complaint} on an unknown or wrong argument */
export function readOptions<const O extends NonNullable<ParseArgsConfig['options']>>(args: string[], options: O) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    // The first sentence of Node's message says what is wrong.
    throw new Complaint((error as Error).message.split(/[.\n]/)[0]!)
  }
}

const UNITS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600 }

/** Reads '45', '45s', '20m' or '1h' as seconds. @throws {Complaint} on anything else */
export function readDuration(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const [, number, unit] = /^([1-9]\d{0,5})([smh]?)$/.exec(text) ?? []
  if (number === undefined) throw new Complaint(`${option}: expected a time such as 45s, 20m or 1h, got '${text}'`)
  return Number(number) * UNITS[unit!]!
}

/** @throws {Complaint} on anything but a number from 1 to 9999 */
export function readNumber(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Complaint(`${option}: expected a number from 1 to 9999, got '${text}'`)
  return Number(text)
}
