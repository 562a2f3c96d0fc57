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

/** @throws {Complaint} on what is no number from 1 to 9999 */
export function readNumber(option: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Complaint(`${option}: got '${text}'; takes a number from 1 to 9999`)
  return Number(text)
}
