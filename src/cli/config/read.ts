import { anObject, either, flag, integer, LONGEST_MS, milliseconds, type Rule } from '../../validate.ts'
import { parseDuration, parseInteger, type Raw, SyntaxMistake } from './target.ts'
import { show, unknownName } from './words.ts'

type Key = string | number
export type Path = readonly Key[]
interface Mistake {
  path: Path
  message: string
}

/** Where a value stands in the settings. Collects the mistakes of all values around it. */
export class Place {
  readonly mistakes: Mistake[]
  /** Makes an absolute path of one that is relative to the config file. */
  readonly resolve: (path: string) => string
  readonly #path: Path

  constructor(resolve: (path: string) => string, path: Path = [], mistakes: Mistake[] = []) {
    this.resolve = resolve
    this.#path = path
    this.mistakes = mistakes
  }

  at(...path: Path): Place {
    return new Place(this.resolve, [...this.#path, ...path], this.mistakes)
  }

  /** Reports a mistake of the value here, or at a path in it. */
  report(message: string, ...path: Path): undefined {
    this.mistakes.push({ path: [...this.#path, ...path], message })
  }
}

/** Reads a setting from text of the command line or a value of a config file. Undefined if it reports a mistake. */
export type Reader<T> = (value: unknown, place: Place) => T | undefined
type Read<R> = R extends Reader<infer T> ? T : never

export function mistake(expected: string, value: unknown): string {
  return `expected ${expected}, got ${show(value)}`
}

/** Reads a value that a rule accepts, after `convert` has parsed text. */
export function leaf<T>({ expected, validate }: Rule, convert = (value: unknown): unknown => value): Reader<T> {
  return (value, place) => {
    const converted = convert(value)
    return converted !== undefined && validate(converted) ? (converted as T) : place.report(mistake(expected, value))
  }
}

export const whole = (rule: Rule) => leaf<number>(rule, parseInteger)

export const from = (least: number, most: number) => whole(integer(least, most))

/** Reads a time in ms: a number, or text such as '30s'. */
export function time(rule: Rule = milliseconds(0, LONGEST_MS)): Reader<number> {
  const judged = leaf<number>(rule)
  return (value, place) => {
    const ms = parseDuration(value)
    return ms === undefined ? place.report(mistake('a time such as 500ms, 30s or 5m', value)) : judged(ms, place)
  }
}

export function oneOf<const T extends string>(...names: T[]): Reader<T> {
  return leaf<T>({ expected: either(names), validate: (value) => (names as unknown[]).includes(value) })
}

export const yesOrNo = leaf<boolean>(flag(false))

export function text<T extends string = string>(expected: string, isRight: (value: string) => boolean): Reader<T> {
  return leaf<T>({ expected, validate: (value) => typeof value === 'string' && isRight(value) })
}

/** Reads anything: the engine judges it later. */
export const any: Reader<unknown> = (value) => value

const PATH = text('a path', (value) => value !== '' && !value.includes('\0'))

/** Reads the path of a file or of a socket. */
export const path: Reader<string> = (value, place) => {
  const given = PATH(value, place)
  return given && place.resolve(given)
}

type Shape = Readonly<Record<string, Reader<unknown>>>
export type Values<S extends Shape> = { [K in keyof S]?: Read<S[K]> }

/**
 * Reads an object with any of the keys of `shape`. `check` may report more, and gets the values of known keys as they
 * were given. `hint` goes into the message for an unknown key.
 */
export function object<S extends Shape>(
  shape: S,
  expected = 'an object',
  check: (given: Raw, place: Place) => void = () => undefined,
  hint?: string,
): Reader<Values<S>> {
  return (value, place) => {
    if (!anObject.validate(value)) return place.report(mistake(expected, value))
    const raw = value as Raw
    const before = place.mistakes.length
    const given: Raw = {}
    const values: Raw = {}
    for (const [key, read] of Object.entries(shape)) {
      given[key] = raw[key]
      const one = given[key] === undefined ? undefined : read(given[key], place.at(key))
      if (one !== undefined) values[key] = one
    }
    for (const key of Object.keys(raw)) {
      if (!Object.hasOwn(shape, key)) place.report(unknownName(key, Object.keys(shape), hint), key)
    }
    check(given, place)
    return place.mistakes.length > before ? undefined : (values as Values<S>)
  }
}

export function map<T, U>(read: Reader<T>, convert: (value: T) => U): Reader<U> {
  return (value, place) => {
    const given = read(value, place)
    return given === undefined ? undefined : convert(given)
  }
}

/** Lets the engine judge what was read: the TypeError of `judge` names the option below `name`. */
export function judged<T>(name: string, read: Reader<T>, judge: (value: T) => unknown): Reader<T> {
  const MESSAGE = new RegExp(`^${name}(?:\\.(\\w+))?: (.*)$`, 's')
  return (value, place) => {
    const given = read(value, place)
    if (given === undefined) return undefined
    try {
      judge(given)
      return given
    } catch (error) {
      const [, key, message = String(error)] = MESSAGE.exec((error as Error).message) ?? []
      return place.report(message, ...(key === undefined ? [] : [key]))
    }
  }
}

/** Reads an object, or the text or number that `split` makes one of. */
export function orText<T>(split: (text: string) => Raw, read: Reader<T>): Reader<T> {
  return (value, place) => {
    if (typeof value !== 'string' && typeof value !== 'number') return read(value, place)
    let raw: Raw
    try {
      raw = split(String(value))
    } catch (error) {
      if (!(error instanceof SyntaxMistake)) throw error
      return place.report(error.message, ...error.path)
    }
    return read(raw, place)
  }
}

/** Reads a list, or its only element without the list around it. No two elements may have the same `name`. */
export function listOf<T extends object>(
  read: Reader<T>,
  nameOf: (one: T) => string | undefined = () => undefined,
): Reader<T[]> {
  return (value, place) => {
    const all = Array.isArray(value) ? [...value] : [value]
    const before = place.mistakes.length
    const names = new Set<string>()
    const list = all.map((raw, i) => {
      const one = read(raw, place.at(i))
      const name = one && nameOf(one)
      if (name !== undefined && names.has(name))
        place.report(`${show(name)} appears twice`, i, ...('id' in one! ? ['id'] : []))
      if (name !== undefined) names.add(name)
      return one!
    })
    return place.mistakes.length > before ? undefined : list
  }
}

/** Reads an object whose keys the user chooses. */
export function mapOf<T>(name: Rule, read: Reader<T>): Reader<Map<string, T>> {
  return (value, place) => {
    if (!anObject.validate(value)) return place.report(mistake('an object', value))
    const before = place.mistakes.length
    const values = new Map<string, T>()
    for (const [key, raw] of Object.entries(value as Raw)) {
      if (!name.validate(key)) place.report(mistake(name.expected, key), key)
      const one = read(raw, place.at(key))
      if (one !== undefined) values.set(key, one)
    }
    return place.mistakes.length > before ? undefined : values
  }
}

/** Reads a list of texts; each may be several, separated by commas. */
export function listOfTexts(rule: Rule): Reader<string[]> {
  const read = leaf<string>(rule)
  return (value, place) => {
    const all = (Array.isArray(value) ? [...value] : [value]).flatMap((one) =>
      typeof one === 'string' ? one.split(',') : [one],
    )
    const list = all.map((one, i) => read(one, place.at(i)))
    return list.includes(undefined) ? undefined : (list as string[])
  }
}
