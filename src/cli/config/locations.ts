import { ConfigError } from './config.ts'
import { type Path, Place, type Reader } from './read.ts'
import { toKebabCase } from './target.ts'
import { show } from './words.ts'

/** Settings as they were given, and the names of places in them for mistakes. */
export interface Source {
  raw: unknown
  nameOf(path: Path): string
}

/** Options that are not named after their setting. */
const OPTIONS: Readonly<Record<string, string>> = {
  'tls.cert': '--tls-cert',
  'tls.key': '--tls-key',
  'dns.servers': '--dns-server',
  'dns.interval': '--dns-interval',
  'dns.hold': '--dns-hold',
}

/** Parts of a target or a check that have another name in its options. */
const SHORT: Readonly<Record<string, string>> = { hostHeader: 'host', fastInterval: 'fast' }

/** Settings that are lists of what an option or an argument gives one by one. Mistakes show which. */
const SINGULAR: Readonly<Record<string, string>> = { backends: 'TARGET', routes: '--route' }

/** The command line: `--listen`, `TARGET`, and parts of them as in `TARGET '3001,weight=x': weight`. */
export function lineSource(raw: Readonly<Record<string, unknown>>): Source {
  const nameOf = ([key, ...rest]: Path): string => {
    const names = rest.filter((part) => typeof part !== 'number').map((part) => SHORT[part] ?? toKebabCase(part))
    const short = OPTIONS[[key, ...names].join('.')]
    if (short !== undefined) return short
    const option = SINGULAR[String(key)] ?? `--${toKebabCase(String(key))}`
    // The value of --sticky is the name and nothing else.
    if (names.length === 0 || key === 'sticky') return option
    const isListed = SINGULAR[String(key)] !== undefined && typeof rest[0] === 'number'
    const value = isListed ? ` ${show((raw[String(key)] as unknown[])[rest[0] as number])}` : ''
    return `${option}${value}: ${names.join('.')}`
  }
  return { raw, nameOf }
}

/** A config file: `badass.json: backends[1].weight`. */
export function fileSource(file: string, raw: unknown): Source {
  const nameOf = (path: Path): string => {
    let text = ''
    let value = raw
    for (const part of path) {
      // A single element may stand without the list around it.
      if (typeof part === 'number' && !Array.isArray(value)) continue
      if (typeof part === 'number') text += `[${part}]`
      else text += /^\w{1,100}$/.test(part) ? `${text && '.'}${part}` : `[${show(part)}]`
      value = (value as Record<string, unknown> | undefined)?.[part]
    }
    return text ? `${file}: ${text}` : file
  }
  return { raw, nameOf }
}

/** Reads settings, with their paths as `resolve` returns them. @throws {ConfigError} with a line for each mistake */
export function readFrom<T>(read: Reader<T>, { raw, nameOf }: Source, resolve: (path: string) => string): T {
  const place = new Place(resolve)
  const settings = read(raw, place)
  const { mistakes } = place
  if (mistakes.length > 0) throw new ConfigError(mistakes.map(({ path, message }) => `${nameOf(path)}: ${message}`))
  return settings!
}
