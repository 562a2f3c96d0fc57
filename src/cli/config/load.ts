import { dirname, resolve } from 'node:path'
import { alpnMistakes, markProtocols, offersHttp2 } from './alpn.ts'
import { type Config, ConfigError, type PoolSettings } from './config.ts'
import { firstLineOf, readConfigFile, readLines } from './files.ts'
import type { Given, Key } from './given.ts'
import { listenersOf, listenMistakes, redirectPort } from './listen.ts'
import { fileSource, lineSource, readFrom, type Source } from './locations.ts'
import { object, type Path } from './read.ts'
import { inAll, routingOf } from './routes.ts'
import { HOOK_NAMES, LIMIT_NAMES, SETTINGS, type Settings } from './settings.ts'
import { inFile } from './target.ts'
import { show } from './words.ts'

/** ms until a drain resets the connections that are still open, by default. */
const GRACE_MS = 30_000

/**
 * ms without a byte either way until a connection is reset, by default. Keep-alive probes find most dead peers within
 * minutes; this finds the others. It is long, as WebSockets may be silent.
 */
const IDLE_MS = 60 * 60_000

const readSettings = object(SETTINGS, 'an object of settings', undefined, 'see badass --help')

/**
 * Reads the config file and all files that the settings name.
 * @throws {ConfigError} with the first mistake of the command line, or all mistakes of the file
 */
export async function loadConfig(raw: Readonly<Record<string, unknown>>, file: string | undefined): Promise<Config> {
  const given = await readBoth(raw, file)
  const { settings, nameOf, placeOf } = given
  const mistakes = [...findContradictions(given)]
  const balancing = balancingOf(settings)
  const routing = routingOf(settings, balancing, (path, message) => mistakes.push(`${nameOf(path)}: ${message}`))
  if (!settings.backends?.length && !settings.routes) mistakes.push(noTarget(file))
  mistakes.push(...listenMistakes(given), ...alpnMistakes(given))
  if (mistakes.length > 0) throw new ConfigError(file === undefined ? mistakes[0]! : mistakes)
  const secret = settings.secretFile && (await readLines(placeOf('secretFile'), settings.secretFile))
  const token = settings.adminTokenFile && (await readToken(placeOf('adminTokenFile'), settings.adminTokenFile))
  const config = configFrom(settings, balancing, secret || undefined, token || undefined)
  return markProtocols(routing ? { ...config, routing } : config)
}

function noTarget(file: string | undefined): string {
  const where = file === undefined ? '' : `, and ${file} has no backends`
  return `TARGET: expected one or more, such as 3001 or host:3001, got none${where} (see badass --help)`
}

async function readBoth(raw: Readonly<Record<string, unknown>>, file: string | undefined): Promise<Given> {
  const source = lineSource(raw)
  const line = readLine(source)
  if (file === undefined) return { line, settings: line, nameOf: source.nameOf, placeOf: (key) => source.nameOf([key]) }
  const { settings, nameOf: nameInFile } = await readFile(file)
  const both = { ...settings, ...line }
  if (settings.dns && line.dns) both.dns = { ...settings.dns, ...line.dns }
  const nameOf = (path: Path) => (line[path[0] as Key] === undefined ? nameInFile(path) : source.nameOf(path))
  return { line, settings: both, nameOf, placeOf: (key) => nameOf([key]) }
}

function readLine(source: Source): Settings {
  try {
    return readFrom(readSettings, source, (path) => path)
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.lines[0]!) : error
  }
}

async function readFile(file: string): Promise<{ settings: Settings; nameOf(path: Path): string }> {
  const source = fileSource(file, await readConfigFile(file))
  try {
    return { ...source, settings: readFrom(readSettings, source, (path) => resolve(dirname(file), path)) }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // A getter of a JS module may throw.
    throw new ConfigError(`${file}: ${firstLineOf(error)}`)
  }
}

/** A setting that has no effect without others. */
interface Need {
  key: Key
  of: Key[]
  isMet(settings: Settings): boolean
  /** The others, as options of the command line. A file has the same names. */
  without: string
}

const isSticky = (settings: Settings) => inAll(settings, ({ sticky }) => !!sticky)
const isHashed = (settings: Settings, key?: 'client') =>
  inAll(settings, (pool) => pool.algorithm === 'hash' && (key === undefined || (pool.key ?? 'client') === key))

const NEEDS: readonly Need[] = [
  { key: 'key', of: ['algorithm'], isMet: (settings) => isHashed(settings), without: '--algorithm hash' },
  {
    key: 'trust',
    of: ['forwarded', 'requestId', 'redirectHttps', 'maxConnectionsPerClient', 'rate', 'algorithm', 'key'],
    isMet: (settings) =>
      !!(
        settings.forwarded ||
        settings.requestId ||
        settings.redirectHttps ||
        settings.maxConnectionsPerClient ||
        settings.rate
      ) || isHashed(settings, 'client'),
    without:
      '--forwarded, --request-id, --redirect-https, --max-connections-per-client, --rate, or --algorithm hash and --key client',
  },
  { key: 'secretFile', of: ['sticky'], isMet: isSticky, without: '--sticky' },
  { key: 'failover', of: ['sticky'], isMet: isSticky, without: '--sticky' },
  { key: 'retries', of: ['requests'], isMet: ({ requests }) => requests !== 'first', without: '--requests every' },
  { key: 'logFile', of: ['log'], isMet: ({ log }) => log !== 'none', without: '--log text, json or combined' },
  {
    key: 'tlsClientVerify',
    of: ['tlsClientCa'],
    isMet: ({ tlsClientCa }) => tlsClientCa !== undefined,
    without: '--tls-client-ca',
  },
  { key: 'adminTokenFile', of: ['admin'], isMet: ({ admin }) => !!admin, without: '--admin' },
  {
    key: 'adminRequests',
    of: ['admin'],
    isMet: ({ admin, adminRequests }) => !!admin || adminRequests === false,
    without: '--admin',
  },
  {
    key: 'dns',
    of: ['backends'],
    isMet: (settings) =>
      inAll(settings, ({ backends = [] }) => backends.some((target) => 'dns' in target || 'srv' in target)),
    without: 'a dns: or srv: target',
  },
]

function* findContradictions({ line, settings, placeOf }: Given): Generator<string> {
  for (const { key, of, isMet, without } of NEEDS) {
    if (settings[key] === undefined || isMet(settings)) continue
    // The line may override a setting that this one, of the file, needs.
    if (line[key] === undefined && of.some((other) => line[other] !== undefined)) continue
    const isOnLine = line[key] !== undefined
    const place = key === 'dns' && isOnLine ? dnsPlace(line) : placeOf(key)
    yield `${place}: has no effect without ${isOnLine ? without : inFile(without)}`
  }
}

function dnsPlace({ dns }: Settings): string {
  if (dns?.servers) return '--dns-server'
  return dns?.interval === undefined ? '--dns-hold' : '--dns-interval'
}

async function readToken(place: string, path: string): Promise<string> {
  const [token = '', ...more] = await readLines(place, path)
  if (more.length > 0) throw new ConfigError(`${place}: expected one line in ${show(path)}, got ${more.length + 1}`)
  // The token is sent in a header field and typed into a form.
  if (!/^[!-~]+$/.test(token)) {
    throw new ConfigError(`${place}: expected visible ASCII without spaces in ${show(path)}`)
  }
  return token
}

function balancingOf({
  backends = [],
  algorithm,
  key,
  failover,
  queue,
  slowStart,
  retries,
  eject,
  health,
  sticky,
}: Settings): PoolSettings {
  return {
    backends,
    algorithm: algorithm ?? 'round-robin',
    key: key ?? 'client',
    failover: failover ?? 'redispatch',
    queue,
    slowStart: slowStart ?? 0,
    retries: retries ?? 0,
    eject,
    health,
    sticky,
  }
}

function configFrom(
  settings: Settings,
  balancing: PoolSettings,
  secret: string[] | undefined,
  token: string | undefined,
): Config {
  const { backoff, dns, admin, ...rest } = settings
  const httpsPort = redirectPort(settings)
  return {
    listen: listenersOf(settings),
    workers: rest.workers ?? 1,
    ...balancing,
    ...(backoff && { backoff }),
    ...(dns && { dns }),
    secret,
    requests: requestsOf(settings),
    forwarded: rest.forwarded ?? false,
    trust: rest.trust ?? [],
    requestId: rest.requestId ?? false,
    ...(rest.http2 && { http2: rest.http2 }),
    ...(rest.maxConnections && { maxConnections: rest.maxConnections }),
    ...(rest.maxConnectionsPerClient && { maxConnectionsPerClient: rest.maxConnectionsPerClient }),
    ...(rest.rate && { rate: rest.rate }),
    ...(rest.proxyProtocol && { proxyProtocol: rest.proxyProtocol }),
    ...(httpsPort && { redirectHttps: httpsPort }),
    tls: rest.tls ?? [],
    ...(rest.alpn && { alpn: rest.alpn }),
    ...(rest.tlsMinVersion && { tlsMinVersion: rest.tlsMinVersion }),
    ...(rest.tlsClientCa && {
      clientCa: { pem: rest.tlsClientCa, isRequired: rest.tlsClientVerify !== 'optional' },
    }),
    admin: admin && { listen: admin, token, ...(rest.adminRequests && { requests: true }) },
    log: rest.log ?? (rest.logFile === undefined ? 'none' : 'text'),
    ...(rest.logFile !== undefined && { logFile: rest.logFile }),
    grace: rest.grace ?? GRACE_MS,
    shutdownDelay: rest.shutdownDelay ?? 0,
    limits: { idleTimeout: IDLE_MS, ...pick(settings, LIMIT_NAMES) },
    hooks: pick(settings, HOOK_NAMES),
  }
}

const READING = [
  'sticky',
  'forwarded',
  'requestId',
  'redirectHttps',
  'tlsClientCa',
  'retries',
  'rate',
  'routes',
  'lookup',
  'modify',
] as const

/** What `auto` means: every request, where a setting or a hook looks at requests. */
function requestsOf(settings: Settings): Config['requests'] {
  const { requests = 'auto', algorithm, key, trust, maxConnectionsPerClient, backends } = settings
  if (requests !== 'auto') return requests
  if (offersHttp2(settings)) return 'first'
  // With `trust`, the client's address is in X-Forwarded-For.
  const isKeyOfRequest = algorithm === 'hash' && ((key ?? 'client') !== 'client' || !!trust?.length)
  const isCounted = maxConnectionsPerClient !== undefined && !!trust?.length
  // The engine changes their Host.
  const isRenamed = backends?.some(({ hostHeader }) => hostHeader !== undefined)
  const isRead = isKeyOfRequest || isCounted || isRenamed || READING.some((name) => settings[name])
  return isRead ? 'every' : 'first'
}

/** The settings of these names that were given. */
function pick<K extends Key>(settings: Settings, names: readonly K[]): { [N in K]?: NonNullable<Settings[N]> } {
  const given = names.filter((name) => settings[name] !== undefined).map((name) => [name, settings[name]])
  return Object.fromEntries(given) as { [N in K]?: NonNullable<Settings[N]> }
}
