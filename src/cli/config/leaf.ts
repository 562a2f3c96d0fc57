import * as z from 'zod'
import { integer, LONGEST_MS, type Rule } from '../../proxy/index.ts'
import { parseDuration, parseInteger, type Raw, SyntaxMistake } from './target.ts'
import { either, show } from './words.ts'

/** The parts that the schema is made of. A mistake in any says what it got and what it takes; where is the path's part. */

type Convert = (value: unknown) => unknown

const asIs: Convert = (value) => value

/** A value that a rule judges, once `convert` has made what it can of the command line's text. */
export function leaf<T>({ takes, isRight }: Rule, convert = asIs) {
  return z.unknown().transform((value, context): T => {
    const converted = convert(value)
    if (converted !== undefined && isRight(converted)) return converted as T
    context.addIssue({ code: 'custom', message: got(value, takes) })
    return z.NEVER
  })
}

export function got(value: unknown, takes: string): string {
  return `got ${show(value)}; takes ${takes}`
}

/** An integer, as a number or as its digits. */
export const whole = (rule: Rule) => leaf<number>(rule, parseInteger)

export const from = (least: number, most: number) => whole(integer(least, most, least))

/** A time, as a number of ms or as a text. */
export function time({ takes, isRight }: Rule = integer(0, LONGEST_MS, 0, ' (ms)')) {
  return leaf<number>({ takes: `${takes} or a time such as 30s`, isRight }, parseDuration)
}

export function oneOf<const T extends string>(...names: T[]) {
  return leaf<T>({ takes: either(names), isRight: (value) => (names as unknown[]).includes(value) })
}

export const yesOrNo = leaf<boolean>({ takes: 'true or false', isRight: (value) => typeof value === 'boolean' })

export function text<T extends string = string>(takes: string, isRight: (value: string) => boolean) {
  return leaf<T>({ takes, isRight: (value) => typeof value === 'string' && isRight(value) })
}

/** The path of a file or of a socket. */
export function path(resolve: (path: string) => string) {
  return text('a path', (value) => value !== '' && !value.includes('\0')).transform(resolve)
}

/** An object with any of these keys and no other. The message for unknown ones is the list of those that are known. */
export function object<S extends Record<string, z.ZodType>>(shape: S, takes = 'an object') {
  const known = Object.keys(shape).join(' ')
  const optional = Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, schema.optional()]))
  return z.strictObject(optional as { [K in keyof S]: z.ZodOptional<S[K]> }, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? known : got(issue.input, takes)),
  })
}

/** Lets a text of the command line's syntax, or a number, stand in an object's place. */
export function orText<S extends z.ZodType>(split: (text: string) => Raw, schema: S) {
  return z.preprocess((value, context) => {
    if (typeof value !== 'string' && typeof value !== 'number') return value
    try {
      return split(String(value))
    } catch (error) {
      if (!(error instanceof SyntaxMistake)) throw error
      context.addIssue({ code: 'custom', message: error.message, path: [...error.path] })
      return z.NEVER
    }
  }, schema)
}

/** A list, or the one thing that it would have in it. */
export function listOf<S extends z.ZodType>(schema: S) {
  return z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(schema))
}

/** A list of texts, any of them several with commas between. */
export function listOfTexts(rule: Rule) {
  const split = (value: unknown) => (typeof value === 'string' ? value.split(',') : [value])
  return z.preprocess(
    (value) => (Array.isArray(value) ? [...value] : [value]).flatMap(split),
    z.array(leaf<string>(rule)),
  )
}

/** Without the keys that have no value. */
export function compact<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
