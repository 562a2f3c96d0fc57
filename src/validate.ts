import { show } from './show.ts'

/** What the value of one option must be. */
export interface Rule {
  /** Completes the error "NAME: expected ...". */
  expected: string
  validate(value: unknown): boolean
  /** Stands in for undefined. */
  default?: unknown
  /** Errors do not show the value. */
  isSecret?: boolean
}

export type Rules<K extends string = string> = Readonly<Record<K, Rule>>

/** The longest delay of a Node timer, in ms. */
export const LONGEST_MS = 2 ** 31 - 1

export const aFunction: Rule = { expected: 'a function', validate: (value) => typeof value === 'function' }

/** A function, undefined or null. */
export const optionalFunction: Rule = optional(aFunction, null)

export const anObject: Rule = {
  expected: 'an object',
  validate: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  default: {},
}

export function integer(least: number, most: number, defaultValue?: number): Rule {
  return {
    expected: `an integer from ${least} to ${most}`,
    validate: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
    default: defaultValue,
  }
}

/** An integer of ms; `note` says what a special value means. */
export function milliseconds(least: number, most: number, defaultValue?: number, note = ''): Rule {
  return {
    ...integer(least, most, defaultValue),
    expected: `milliseconds (an integer from ${least} to ${most}${note && `; ${note}`})`,
  }
}

export function flag(defaultValue: boolean): Rule {
  return { expected: 'true or false', validate: (value) => typeof value === 'boolean', default: defaultValue }
}

/** One of these strings; the first is the default. */
export function oneOf(...names: string[]): Rule {
  return {
    expected: either(names.map((name) => `'${name}'`)),
    validate: (value) => names.includes(value as string),
    default: names[0],
  }
}

/** The rule, or undefined and what else may stand for nothing. There is no default. */
export function optional(rule: Rule, ...nothing: unknown[]): Rule {
  const { default: _, ...rest } = rule
  return { ...rest, validate: (value) => value === undefined || nothing.includes(value) || rule.validate(value) }
}

/** 'a, b or c' */
export function either(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/**
 * Checks an object of options against a table of rules and returns a copy with the defaults filled in. `path` is the
 * option that holds the object; '' for the outermost.
 * @throws {TypeError} on an unknown option or a wrong value: "NAME: expected ..., got ..."
 */
export function validateOptions(path: string, rules: Rules, options: object): Record<string, unknown> {
  if (typeof options !== 'object' || options === null) {
    const expected = path ? 'an object' : 'a lookup function or an object'
    throw new TypeError(`${path || 'options'}: expected ${expected}, got ${show(options)}`)
  }
  const prefix = path && `${path}.`
  const names = Object.keys(rules)
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue
    const near = nearest(name, names)
    const hint = near === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${near}?`
    throw new TypeError(`${prefix}${name}: unknown option (${hint})`)
  }
  const given = options as Record<string, unknown>
  const checked: Record<string, unknown> = {}
  for (const name of names) {
    const { expected, validate, default: defaultValue, isSecret } = rules[name]!
    const value = given[name] === undefined ? defaultValue : given[name]
    if (!validate(value)) {
      throw new TypeError(`${prefix}${name}: expected ${expected}, got ${isSecret ? redact(value) : show(value)}`)
    }
    checked[name] = value
  }
  return checked
}

/** Replaces a secret by its type. Shows '', undefined and null as they are. */
function redact(value: unknown): string {
  if (Array.isArray(value)) return `[${[...value].map(redact).join(', ')}]`
  if (value === '' || value === undefined || value === null) return show(value)
  return `(hidden ${typeof value})`
}

/** The known name that `name` is probably a misspelling of. Ignores case, '-' and '_'. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '')
  // The distance costs the product of both lengths, and no known name is that long.
  if (name.length > 40) return undefined
  let best: string | undefined
  let least = Math.min(3, Math.floor(plain(name).length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(plain(name), plain(candidate))
    if (distance >= least) continue
    best = candidate
    least = distance
  }
  return best
}

/** Counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      row[j] = Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + (isSame ? 0 : 1))
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = above
    above = row
  }
  return above[to.length]!
}
