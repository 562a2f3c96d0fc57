import { dirname, resolve } from 'node:path'
import { type Config, ConfigError } from './config.ts'
import { firstLineOf, readLines, readSettings } from './files.ts'
import { compact } from './leaf.ts'
import { check, fileSource, lineSource, type Source } from './places.ts'
import { HOOK_NAMES, LIMIT_NAMES, type Settings, settingsSchema } from './schema.ts'
import { show } from './words.ts'

type Key = keyof Settings

/** What the places on the line are called, apart from what stands there. */
const LINE = lineSource({})

/** ms that open connections have, where nothing else is said. */
const GRACE_MS = 30_000

/** What the command line says, checked. @throws {ConfigError} with the first mistake */
export function checkLine(raw: Readonly<Record<string, unknown>>): Settings {
  try {
    return check(
      settingsSchema((path) => path),
      lineSource(raw),
    )
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.lines[0]!) : error
  }
}

/** Settings of the line, and those of both, where the line goes before the file. */
interface Given {
  line: Settings
  settings: Settings
  /** What the place is called where a setting came from. */
  placeOf(key: Key): string
}

/** The config that line and file make together; reads every file that they name. @throws {ConfigError} */
export async function loadConfig(line: Settings, file: string | undefined): Promise<Config> {
  const given = file === undefined ? giveBoth(line, {}, LINE) : await withFile(line, file)
  const { settings, placeOf } = given
  const mistakes = [...findContradictions(given)]
  if (!settings.backends?.length) mistakes.push(noTarget(file))
  if (settings.listen?.length === 0) mistakes.push(`${placeOf('listen')}: got an empty list; takes one address or more`)
  // Of the line one is enough; of a file, all.
  if (mistakes.length > 0) throw new ConfigError(file === undefined ? mistakes[0]! : mistakes)
  const secret = settings.secretFile && (await readLines(placeOf('secretFile'), settings.secretFile))
  const token = settings.adminTokenFile && (await readToken(placeOf('adminTokenFile'), settings.adminTokenFile))
  return configFrom(settings, secret || undefined, token || undefined)
}

function noTarget(file: string | undefined): string {
  const where = file === undefined ? 'got none' : `got none, and ${file} has no backends`
  return `TARGET: ${where}; takes one or more, such as 3001 or host:3001 (see badass --help)`
}

async function withFile(line: Settings, path: string): Promise<Given> {
  const raw = await readSettings(path)
  const source = fileSource(path, raw)
  const base = dirname(path)
  try {
    return giveBoth(
      line,
      check(
        settingsSchema((one) => resolve(base, one)),
        source,
      ),
      source,
    )
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // A getter of a JS module may throw.
    throw new ConfigError(`${path}: ${firstLineOf(error)}`)
  }
}

function giveBoth(line: Settings, file: Settings, source: Source): Given {
  const settings = { ...compact(file), ...compact(line) } as Settings
  if (file.dns && line.dns) settings.dns = { ...file.dns, ...compact(line.dns) }
  return { line, settings, placeOf: (key) => (line[key] === undefined ? source : LINE).placeOf([key]) }
}

/** A setting that is for nothing without others, and would be ignored without a word. */
interface Need {
  key: Key
  of: Key[]
  isMet(settings: Settings): boolean
  /** The others, as options of the line; in a file they are called the same. */
  takes: string
}

const NEEDS: readonly Need[] = [
  { key: 'key', of: ['algorithm'], isMet: ({ algorithm }) => algorithm === 'hash', takes: '--algorithm hash' },
  {
    key: 'trust',
    of: ['forwarded', 'algorithm', 'key'],
    isMet: ({ forwarded, algorithm, key = 'client' }) => !!forwarded || (algorithm === 'hash' && key === 'client'),
    takes: '--forwarded, or with --algorithm hash and --key client',
  },
  { key: 'secretFile', of: ['sticky'], isMet: ({ sticky }) => !!sticky, takes: '--sticky' },
  { key: 'failover', of: ['sticky'], isMet: ({ sticky }) => !!sticky, takes: '--sticky' },
  { key: 'adminTokenFile', of: ['admin'], isMet: ({ admin }) => !!admin, takes: '--admin' },
  {
    key: 'dns',
    of: ['backends'],
    isMet: ({ backends = [] }) => backends.some((target) => 'dns' in target || 'srv' in target),
    takes: 'a dns: or srv: target',
  },
]

function* findContradictions({ line, settings, placeOf }: Given): Generator<string> {
  for (const { key, of, isMet, takes } of NEEDS) {
    if (settings[key] === undefined || isMet(settings)) continue
    // The line's word on one thing may leave another, of the file, without a use.
    if (line[key] === undefined && of.some((other) => line[other] !== undefined)) continue
    const isOnLine = line[key] !== undefined
    const place = key === 'dns' && isOnLine ? dnsPlace(line) : placeOf(key)
    const others = isOnLine ? takes : takes.replaceAll('--', '')
    yield `${place}: is for nothing by itself; takes effect with ${others}`
  }
}

function dnsPlace({ dns }: Settings): string {
  return dns?.servers ? '--dns-server' : '--dns-interval'
}

async function readToken(place: string, path: string): Promise<string> {
  const [token = '', ...more] = await readLines(place, path)
  if (more.length > 0) throw new ConfigError(`${place}: got ${more.length + 1} lines in ${show(path)}; takes one`)
  // It is sent in a field and typed into a form.
  if (!/^[!-~]+$/.test(token)) {
    throw new ConfigError(`${place}: got other characters in ${show(path)}; takes visible ASCII without spaces`)
  }
  return token
}

function configFrom(settings: Settings, secret: string[] | undefined, token: string | undefined): Config {
  const { listen, backends = [], algorithm, key, failover, health, backoff, dns, sticky, admin, ...rest } = settings
  return {
    listen: listen ?? [{ port: 8080 }],
    workers: rest.workers ?? 1,
    backends,
    algorithm: algorithm ?? 'round-robin',
    key: key ?? 'client',
    failover: failover ?? 'redispatch',
    health,
    ...(backoff && { backoff: compact(backoff) }),
    ...(dns && { dns: compact(dns) }),
    sticky,
    secret,
    everyRequest: rest.everyRequest ?? false,
    forwarded: rest.forwarded ?? false,
    trust: rest.trust ?? [],
    ...(rest.proxyProtocol && { proxyProtocol: rest.proxyProtocol }),
    tls: rest.tls ?? [],
    admin: admin && { listen: admin, token },
    log: rest.log ?? 'none',
    grace: rest.grace ?? GRACE_MS,
    limits: pick(settings, LIMIT_NAMES),
    hooks: pick(settings, HOOK_NAMES),
  }
}

/** Of some keys, those that have a value. */
function pick<K extends Key>(settings: Settings, names: readonly K[]): { [N in K]?: NonNullable<Settings[N]> } {
  const given = names.filter((name) => settings[name] !== undefined).map((name) => [name, settings[name]])
  return Object.fromEntries(given) as { [N in K]?: NonNullable<Settings[N]> }
}
