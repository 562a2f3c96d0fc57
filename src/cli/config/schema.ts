import { availableParallelism } from 'node:os'
import * as z from 'zod'
import { hostPort, integer, isNetwork, OPTION_RULES } from '../../proxy/index.ts'
import {
  type BalancerOptions,
  type CookieOptions,
  createBalancer,
  createStickyServer,
  type HealthOptions,
} from '../../sticky/index.ts'
import type { Address, Config, ConfigHooks, StickySettings, Target } from './config.ts'
import * as is from './leaf.ts'
import * as syntax from './target.ts'
import { show } from './words.ts'

type Resolve = (path: string) => string
type Context = z.core.$RefinementCtx

const HOST = is.text('a name, an IPv4 or an IPv6 address', syntax.isHost)
const NAME = is.text("a name of the DNS, as in 'app.internal'", syntax.isName)
const ID = is.text('a text of 1 to 200 characters', (value) => /^[^\p{Cc}\p{Cs}]{1,200}$/u.test(value))
const PORT = is.from(1, 65_535)
const MOST_WORKERS = 256
const WORKERS = is.leaf<number>(
  { ...integer(1, MOST_WORKERS, 1), takes: `auto or an integer from 1 to ${MOST_WORKERS}` },
  (value) => (value === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : syntax.parseInteger(value)),
)
const PEM = is.leaf<string | Buffer>({
  takes: 'PEM text or bytes',
  isRight: (value) => (typeof value === 'string' && value !== '') || value instanceof Uint8Array,
})

/** TLS to a backend: its certificate is checked, unless it is 'insecure' or the options of `tls.connect` say other. */
const TLS = z.preprocess(
  (value) => {
    if (value === 'insecure') return { rejectUnauthorized: false }
    return value === true ? {} : value === false ? undefined : value
  },
  is
    .object(
      { servername: HOST, rejectUnauthorized: is.yesOrNo, ca: PEM, cert: PEM, key: PEM },
      "true, false, 'insecure' or an object",
    )
    .transform((options) => (Object.keys(is.compact(options)).length === 0 ? true : is.compact(options)))
    .optional(),
)

const SEND_PROXY = is.leaf<1 | 2>(integer(1, 2, 1), (value) => (value === true ? 1 : syntax.parseInteger(value)))
const NETWORK = { takes: "an IP, a CIDR range or 'unix'", isRight: isNetwork }

/** What there may be beside each of the forms of a backend. The first that is there is its form. */
const FORMS = { srv: [], dns: ['port'], path: ['id'], port: ['host', 'id'] } as const
const OF_FORMS = ['port', 'host', 'path', 'dns', 'srv', 'id'] as const

type Formed = { [K in (typeof OF_FORMS)[number]]?: unknown }

/** Holds an object to one of the forms; `takes` names them. */
function checkForm(takes: string) {
  return (raw: Formed, context: Context): void => {
    const form = (Object.keys(FORMS) as (keyof typeof FORMS)[]).find((name) => raw[name] !== undefined)
    const say = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
    if (form === undefined) return say(`got no address; takes ${takes}`)
    const beside: readonly string[] = FORMS[form]
    for (const name of OF_FORMS) {
      if (name === form || raw[name] === undefined || beside.includes(name)) continue
      say(is.got(raw[name], `nothing beside ${form}`), name)
    }
    if (form === 'dns' && raw.port === undefined) say('got none; takes an integer from 1 to 65535', 'port')
  }
}

function backendSchema(resolve: Resolve): z.ZodType<Target> {
  const shape = {
    port: PORT,
    host: HOST,
    path: is.path(resolve),
    dns: NAME,
    srv: NAME,
    id: ID,
    weight: is.from(0, 65_535),
    maxConnections: is.from(1, 2 ** 31 - 1),
    backup: is.yesOrNo,
    tls: TLS,
    sendProxy: SEND_PROXY,
  }
  const schema = is
    .object(shape, `${syntax.TARGET_TAKES}, or an object`)
    .superRefine(checkForm('a port, path, dns or srv'))
  return is.orText(
    syntax.splitTarget,
    schema.transform((raw) => is.compact(raw) as unknown as Target),
  )
}

function addressSchema(resolve: Resolve): z.ZodType<Address> {
  const shape = { port: is.from(0, 65_535), host: HOST, path: is.path(resolve) }
  const schema = is.object(shape, `${syntax.ADDRESS_TAKES}, or an object`).superRefine(checkForm('a port or a path'))
  return is.orText(
    syntax.splitAddress,
    schema.transform((raw) => is.compact(raw) as unknown as Address),
  )
}

const ADMIN_TAKES = '[HOST:]PORT'
const ADMIN = is.orText(
  (text) => {
    const raw = syntax.splitAddress(text, ADMIN_TAKES)
    if ('path' in raw) throw new syntax.SyntaxMistake(is.got(text, ADMIN_TAKES))
    return raw
  },
  is
    .object({ port: is.from(0, 65_535), host: HOST }, `${ADMIN_TAKES}, or an object`)
    .superRefine(checkForm('a port'))
    .transform(({ port, host = '127.0.0.1' }) => ({ port: port!, host })),
)

/** What the balancer calls a backend, or a name of the DNS; no two may share it. */
function idOf(target: Target): string {
  if ('id' in target && target.id !== undefined) return target.id
  if ('srv' in target) return `srv:${target.srv}`
  if ('dns' in target) return `dns:${target.dns}:${target.port}`
  return addressText('path' in target ? target : { port: target.port, host: target.host ?? '127.0.0.1' })
}

/** '127.0.0.1:8080', '*:8080', 'unix:/run/x.sock' */
export function addressText(address: Address): string {
  return 'path' in address ? `unix:${address.path}` : hostPort(address.host ?? '*', address.port)
}

/** Refuses what is there twice. An address that the system chooses, with port 0, never is. */
function eachOnce<T extends object>(nameOf: (one: T) => string) {
  return (all: readonly T[], context: Context) => {
    const seen = new Set<string>()
    for (const [i, one] of all.entries()) {
      const name = nameOf(one)
      if (seen.has(name)) {
        const path = 'id' in one ? [i, 'id'] : [i]
        context.addIssue({ code: 'custom', message: `got ${show(name)} twice; takes each once`, path })
      }
      if (!('port' in one && one.port === 0)) seen.add(name)
    }
  }
}

/** Lets the engine judge: its TypeError names the key under `name`. */
function judgedBy<T>(name: string, judge: (value: T) => void) {
  return (value: T, context: Context) => {
    try {
      judge(value)
    } catch (error) {
      const [, key = '', message = String(error)] =
        new RegExp(`^${name}\\.(\\w+): (.*)$`, 's').exec((error as Error).message) ?? []
      context.addIssue({ code: 'custom', message, path: key ? [key] : [] })
    }
  }
}

/** @throws {TypeError} on what a balancer would not take */
function judgeBalancer(options: BalancerOptions): void {
  createBalancer(options).close()
}

const ANY = z.unknown()
const A_DAY = integer(1, 24 * 60 * 60 * 1000, 1, ' (ms)')
const STICKY = z.preprocess(
  (value) => (value === true ? {} : value === false ? undefined : typeof value === 'string' ? { name: value } : value),
  is
    .object({ name: ANY, insert: ANY, indirect: ANY, attributes: ANY }, "a cookie's name, true, false or an object")
    .transform((given) => ({ name: 'sticky', insert: true, indirect: true, ...is.compact(given) }) as StickySettings)
    .superRefine(
      judgedBy('cookie', (cookie: CookieOptions) => createStickyServer(() => undefined, undefined, { cookie })),
    )
    .optional(),
)

const HEALTH = is.orText(
  syntax.splitHealth,
  is
    .object(
      {
        type: ANY,
        path: ANY,
        host: ANY,
        status: ANY,
        interval: is.time(A_DAY),
        timeout: is.time(A_DAY),
        rise: is.from(1, 1000),
        fall: is.from(1, 1000),
      },
      `${syntax.HEALTH_TAKES}, or an object`,
    )
    .transform((given) => is.compact(given) as HealthOptions)
    .superRefine(judgedBy('health', (health) => judgeBalancer({ health }))),
)

const BACKOFF = is
  .object({ min: is.time(), max: is.time() })
  .transform(is.compact)
  .superRefine(judgedBy('backoff', (backoff) => judgeBalancer({ backoff })))

const DNS = is
  .object({
    servers: is.listOfTexts({ takes: 'IP, IP:PORT or [IPV6]:PORT', isRight: syntax.isDnsServer }),
    interval: is.time(),
    timeout: is.time(),
  })
  .transform(is.compact)
  .superRefine(judgedBy('dns', (dns) => judgeBalancer({ dns })))

function certificateSchema(resolve: Resolve) {
  return is
    .object({ cert: is.path(resolve), key: is.path(resolve) }, 'an object with cert and key')
    .superRefine((pair, context) => {
      for (const name of ['cert', 'key'] as const) {
        if (pair[name] === undefined)
          context.addIssue({ code: 'custom', message: 'got none; takes a path', path: [name] })
      }
    })
    .transform(({ cert, key }) => ({ cert: cert!, key: key! }))
}

/** The engine's limits that can be said, each under its own name. */
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
  is.leaf<NonNullable<ConfigHooks[K]>>({
    takes: 'a function, of a JS module',
    isRight: (value) => typeof value === 'function',
  })

/** The functions that a JS module may export. */
const HOOKS = { lookup: hook<'lookup'>(), modify: hook<'modify'>(), errback: hook<'errback'>() }
export const HOOK_NAMES = Object.keys(HOOKS) as (keyof typeof HOOKS)[]

const KEY_PATTERN = /^(?:client|path|header:[!#$%&'*+\-.^_`|~\w]+)$/

/** All that the command line and a config file can say, each key optional. `resolve` makes a path of theirs one of ours. */
export function settingsSchema(resolve: Resolve) {
  return is.object(
    {
      listen: is.listOf(addressSchema(resolve)).superRefine(eachOnce(addressText)),
      backends: is.listOf(backendSchema(resolve)).superRefine(eachOnce(idOf)),
      sticky: STICKY,
      secretFile: is.path(resolve),
      algorithm: is.oneOf('round-robin', 'least-connections', 'random-two', 'hash'),
      key: is.text<Config['key']>('client, path or header:NAME', (value) => KEY_PATTERN.test(value)),
      failover: is.oneOf('redispatch', 'persist'),
      health: HEALTH,
      backoff: BACKOFF,
      dns: DNS,
      everyRequest: is.yesOrNo,
      forwarded: is.yesOrNo,
      trust: is.listOfTexts(NETWORK),
      proxyProtocol: is
        .listOfTexts(NETWORK)
        .refine((list) => list.length > 0, `got an empty list; takes one or more, each ${NETWORK.takes}`),
      tls: is.listOf(certificateSchema(resolve)),
      admin: ADMIN,
      adminTokenFile: is.path(resolve),
      log: is.oneOf('none', 'text', 'json'),
      grace: is.time(),
      workers: WORKERS,
      ...LIMITS,
      ...HOOKS,
    },
    'an object of settings',
  )
}

export type Settings = z.output<ReturnType<typeof settingsSchema>>
