import { inspect } from 'node:util'
import { either, nearest } from '../../validate.ts'

/** A value in an error message: short and on one line. Lists, functions and objects are named by their kind. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return 'an object'
  return inspect(value, { maxStringLength: 100 })
}

/** Options of earlier versions, with their replacements. */
const RENAMED: Readonly<Record<string, string>> = {
  '--every-request': '--requests every',
  everyRequest: '"requests": "every"',
}

/** The message for an unknown option: with the known name that is close to it, else with `hint`. */
export function unknownName(name: string, known: readonly string[], hint = `expected ${either(known)}`): string {
  const near = Object.hasOwn(RENAMED, name) ? RENAMED[name] : nearest(name, known)
  return `unknown option (${near === undefined ? hint : `did you mean ${near}?`})`
}
