import { availableParallelism } from 'node:os'
import { validateBalancer } from '../../balancer/index.ts'
import { isNetwork, OPTION_RULES } from '../../proxy/index.ts'
import { aFunction, integer } from '../../validate.ts'
import { addressText, BALANCING, CONNECTIONS, checkForm, HOST, PEM, pem } from './backends.ts'
import type { Address, AlpnName, Config, ConfigHooks, ForwardedForm, RateSettings } from './config.ts'
import { groupId } from './group.ts'
import * as is from './read.ts'
import { ROUTING } from './routes.ts'
import * as syntax from './target.ts'

const LISTEN_PORT = is.from(0, 65_535)
const NETWORK = { expected: "an IP address, a network such as 10.0.0.0/8, or 'unix'", validate: isNetwork }
const FORMS: readonly unknown[] = ['x', 'rfc7239', 'both', false]
const FORWARDED = { expected: 'x, rfc7239, both, true or false', validate: (value: unknown) => FORMS.includes(value) }
const MAX_WORKERS = 256
const HTTPS_PORT = integer(1, 65_535)
const REDIRECT_PORT = {
  expected: `true, false or ${HTTPS_PORT.expected}`,
  validate: (value: unknown) => typeof value === 'boolean' || HTTPS_PORT.validate(value),
}
const WORKERS = { ...integer(1, MAX_WORKERS), expected: `auto or an integer from 1 to ${MAX_WORKERS}` }

const FD_NAME = is.text('a name of LISTEN_FDNAMES', (value) => /^[!-9;-~]+$/.test(value))
const MODE = is.leaf<number>({ expected: "an octal mode as text, such as '660'", validate: () => true }, (value) =>
  typeof value === 'string' && /^[0-7]{3,4}$/.test(value) ? Number.parseInt(value, 8) : undefined,
)
const GROUP = is.leaf<number>({ expected: 'a group in /etc/group, or its number', validate: () => true }, groupId)

const ADDRESS = is.object(
  { port: LISTEN_PORT, host: HOST, path: is.path, fd: FD_NAME, mode: MODE, group: GROUP, tls: is.yesOrNo },
  `${syntax.ADDRESS_FORMS}, or an object`,
  checkForm('a port, a path or an fd'),
) as is.Reader<Address>

const ADMIN = is.map(
  is.object({ port: LISTEN_PORT, host: HOST }, `${syntax.ADMIN_FORMS}, or an object`, checkForm('a port')),
  ({ port, host = '127.0.0.1' }): Address => ({ port: port!, host }),
)

const RATE = is.map(
  is.object(
    {
      limit: is.leaf<{ requests: number; per: number }>(
        { expected: syntax.RATE_FORMS, validate: () => true },
        syntax.parseRate,
      ),
      burst: is.from(1, 1_000_000),
    },
    `${syntax.RATE_FORMS}, or an object`,
    ({ limit }, place) => {
      if (limit === undefined) place.report(`expected ${syntax.RATE_FORMS}, got none`, 'limit')
    },
  ),
  ({ limit, burst = limit!.requests }): RateSettings => ({ ...limit!, burst }),
)

/** Undefined for port 0: the system chooses another each time. */
function fixedAddress(address: Address): string | undefined {
  return 'port' in address && address.port === 0 ? undefined : addressText(address)
}

const BACKOFF = is.object({ min: is.time(), max: is.time() })

const DNS = is.object({
  servers: is.listOfTexts({ expected: 'IP, IP:PORT or [IPV6]:PORT', validate: syntax.isDnsServer }),
  interval: is.time(),
  hold: is.time(),
  timeout: is.time(),
})

const CERTIFICATE = is.object({ cert: pem, key: pem }, 'an object with cert and key', (raw, place) => {
  for (const name of ['cert', 'key']) if (raw[name] === undefined) place.report(`expected ${PEM}, got none`, name)
}) as is.Reader<Config['tls'][number]>

const networks = is.listOfTexts(NETWORK)

const ALPN_NAMES: readonly unknown[] = ['h2', 'http/1.1']
const ALPN = { expected: 'h2 or http/1.1', validate: (value: unknown) => ALPN_NAMES.includes(value) }
const alpnNames = is.listOfTexts(ALPN) as is.Reader<AlpnName[]>

/** The engine's limits that can be set, each under its own name. */
const LIMITS = {
  headTimeout: is.time(OPTION_RULES.headTimeout),
  connectTimeout: is.time(OPTION_RULES.connectTimeout),
  responseHeadTimeout: is.time(OPTION_RULES.responseHeadTimeout),
  idleTimeout: is.time(OPTION_RULES.idleTimeout),
  halfCloseTimeout: is.time(OPTION_RULES.halfCloseTimeout),
  maxHeadBytes: is.whole(OPTION_RULES.maxHeadBytes),
  maxFields: is.whole(OPTION_RULES.maxFields),
  lenientResponses: is.yesOrNo,
}
export const LIMIT_NAMES = Object.keys(LIMITS) as (keyof typeof LIMITS)[]

const hook = <K extends keyof ConfigHooks>() =>
  is.leaf<NonNullable<ConfigHooks[K]>>({ ...aFunction, expected: 'a function (in a JS module)' })

/** The functions that a JS module may export. */
const HOOKS = { lookup: hook<'lookup'>(), modify: hook<'modify'>(), errback: hook<'errback'>() }
export const HOOK_NAMES = Object.keys(HOOKS) as (keyof typeof HOOKS)[]

/** Every setting of the command line and of a config file, with what reads it. Each may be left out. */
export const SETTINGS = {
  listen: is.listOf(is.orText(syntax.splitListen, ADDRESS), fixedAddress),
  ...BALANCING,
  ...ROUTING,
  secretFile: is.path,
  backoff: is.judged('backoff', BACKOFF, (backoff) => validateBalancer({ backoff })),
  dns: is.judged('dns', DNS, (dns) => validateBalancer({ dns })),
  requests: is.oneOf('first', 'every', 'auto'),
  http2: is.oneOf('pass', 'refuse'),
  forwarded: is.leaf<ForwardedForm | false>(FORWARDED, (value) => (value === true ? 'x' : value)),
  trust: networks,
  requestId: is.yesOrNo,
  redirectHttps: is.leaf<number | boolean>(REDIRECT_PORT, (value) =>
    value === 'auto' || typeof value === 'boolean' ? value !== false : syntax.parseInteger(value),
  ),
  proxyProtocol: ((value, place) => {
    const list = networks(value, place)
    return list?.length === 0 ? place.report(`expected one or more, each ${NETWORK.expected}, got an empty list`) : list
  }) as is.Reader<string[]>,
  tls: is.listOf(CERTIFICATE),
  tlsMinVersion: is.oneOf('1.2', '1.3'),
  alpn: ((value, place) => {
    const list = alpnNames(value, place)
    if (list?.length === 0) return place.report(is.mistake(ALPN.expected, list))
    if (list && new Set(list).size < list.length) {
      return place.report(is.mistake(`${ALPN.expected}, each once`, list.join()))
    }
    return list
  }) as is.Reader<AlpnName[]>,
  tlsClientCa: pem,
  tlsClientVerify: is.oneOf('required', 'optional'),
  admin: is.orText(syntax.splitAdmin, ADMIN),
  adminTokenFile: is.path,
  adminRequests: is.yesOrNo,
  log: is.oneOf('none', 'text', 'json', 'combined'),
  logFile: is.path,
  grace: is.time(),
  shutdownDelay: is.time(),
  workers: is.leaf<number>(WORKERS, (value) =>
    value === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : syntax.parseInteger(value),
  ),
  maxConnections: CONNECTIONS,
  maxConnectionsPerClient: CONNECTIONS,
  rate: is.orText(syntax.splitRate, RATE),
  ...LIMITS,
  ...HOOKS,
}

export type Settings = is.Values<typeof SETTINGS>
