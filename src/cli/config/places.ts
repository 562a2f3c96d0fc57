import type * as z from 'zod'
import { ConfigError } from './config.ts'
import type { Settings, settingsSchema } from './schema.ts'
import { toKebabCase } from './target.ts'
import { show, unknownName } from './words.ts'

type Path = readonly PropertyKey[]

/** Settings as they were given, and what a place in them is called. */
export interface Source {
  raw: unknown
  placeOf(path: Path): string
}

/** Of what no option is named after its key. */
const OPTIONS: Readonly<Record<string, string>> = {
  'tls.cert': '--tls-cert',
  'tls.key': '--tls-key',
  'dns.servers': '--dns-server',
  'dns.interval': '--dns-interval',
}

/** The command line: `--listen`, `TARGET`, and parts of them as in `TARGET '3001,weight=x': weight`. */
export function lineSource(raw: Readonly<Record<string, unknown>>): Source {
  const placeOf = ([key, ...rest]: Path): string => {
    const names = rest.filter((part) => typeof part !== 'number').map((part) => toKebabCase(String(part)))
    const short = OPTIONS[[key, ...names].join('.')]
    if (short !== undefined) return short
    const option = key === 'backends' ? 'TARGET' : `--${toKebabCase(String(key))}`
    // The value of --sticky is nothing but the name.
    if (names.length === 0 || key === 'sticky') return option
    const whole =
      key === 'backends' && typeof rest[0] === 'number' ? ` ${show((raw.backends as unknown[])[rest[0]])}` : ''
    return `${option}${whole}: ${names.join('.')}`
  }
  return { raw, placeOf }
}

/** A config file: `badass.json: backends[1].weight`. */
export function fileSource(file: string, raw: unknown): Source {
  const placeOf = (path: Path): string => {
    let text = ''
    let value = raw
    for (const part of path) {
      // A thing that stands where a list may has no index.
      if (typeof part === 'number' && !Array.isArray(value)) continue
      if (typeof part === 'number') text += `[${part}]`
      else text += /^\w{1,100}$/.test(String(part)) ? `${text && '.'}${String(part)}` : `[${show(String(part))}]`
      value = (value as Record<PropertyKey, unknown> | undefined)?.[part]
    }
    return text ? `${file}: ${text}` : file
  }
  return { raw, placeOf }
}

/** @throws {ConfigError} with a line for each mistake */
export function check(schema: ReturnType<typeof settingsSchema>, { raw, placeOf }: Source): Settings {
  const result = schema.safeParse(raw)
  if (result.success) return result.data
  throw new ConfigError(result.error.issues.flatMap((issue) => linesOf(issue, placeOf)))
}

function linesOf(issue: z.core.$ZodIssue, placeOf: Source['placeOf']): string[] {
  if (issue.code !== 'unrecognized_keys') return [`${placeOf(issue.path)}: ${issue.message}`]
  const known = issue.message.split(' ')
  const otherwise = issue.path.length === 0 ? 'see badass --help' : undefined
  return issue.keys.map((key) => `${placeOf([...issue.path, key])}: ${unknownName(key, known, otherwise)}`)
}
