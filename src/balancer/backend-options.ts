import { isIPv6 } from 'node:net'
import type tls from 'node:tls'
import { HOST_HEADER, offeringHttp2 } from '../proxy/index.ts'
import { show } from '../show.ts'
import { anObject, flag, integer, oneOf, type Rule, type Rules, validateOptions } from '../validate.ts'
import { type Discovered, dnsName, type Name } from './discovery/index.ts'
import { addressOf, type BackendDest } from './place.ts'
import type { Protocol } from './protocol.ts'

interface CommonOptions {
  /** Relative share of new clients, from 0 to 65535. 0: returning clients only. Default 1. */
  weight?: number | undefined
  /**
   * Maximum number of open connections, per process. With `requests: 'every'`, idle ones count too: one is closed before
   * a new one is opened. Default: no limit.
   */
  maxConnections?: number | undefined
  /** Used only when no other backend is available. Default false. */
  backup?: boolean | undefined
  /** Connect with TLS: true, or options for `tls.connect`. Default false. */
  tls?: boolean | tls.ConnectionOptions | undefined
  /** Send the client's address in a PROXY protocol header of this version. Default: none. */
  sendProxy?: 1 | 2 | undefined
  /**
   * The Host of requests to this backend in place of the client's, and the TLS server name; `Dest` has the details.
   * Default: none.
   */
  hostHeader?: string | undefined
  /**
   * What the backend speaks. 'h2': only connections that begin with the HTTP/2 preface go there. 'h1': only others. Health
   * checks over HTTP are HTTP/1.1. Default 'both'.
   */
  protocol?: Protocol | 'both' | undefined
}

/** A backend: a TCP port or a Unix socket. `host` defaults to localhost (IPv4 or IPv6). */
export type BackendOptions = ({ port: number; host?: string } | { path: string }) &
  CommonOptions & {
    /**
     * A unique name, the same on every machine. Default: the address, as in 'host:port', '[::1]:port' or 'unix:/path'.
     */
    id?: string
  }

/** A DNS name that resolves to a list of backends: `dns` by its addresses, `srv` by its SRV records (RFC 2782). */
export type DnsOptions = ({ dns: string; port: number } | { srv: string }) & CommonOptions

/** Validated options of a backend, defaults filled in. */
export interface BackendSettings {
  readonly id: string
  readonly place: BackendDest
  readonly source: string | undefined
  readonly weight: number
  readonly maxConnections: number
  readonly backup: boolean
  readonly protocol: Protocol | 'both'
}

interface Common {
  readonly weight: number
  readonly maxConnections: number
  readonly backup: boolean
  readonly tls: BackendDest['tls']
  readonly sendProxy: BackendDest['sendProxy']
  readonly hostHeader: BackendDest['hostHeader']
  readonly protocol: BackendSettings['protocol']
}

/** A DNS name and the settings of every backend that it resolves to. */
export interface DnsSourceSettings extends Common {
  readonly name: Name
  /** The name's id: 'dns:app.internal:3000' or 'srv:_http._tcp.app.internal'. */
  readonly source: string
}

export type Spec = BackendSettings | DnsSourceSettings

export const isDnsSource = (spec: Spec): spec is DnsSourceSettings => 'name' in spec

const port: Rule = integer(1, 65_535)
const path: Rule = { expected: 'a path', validate: (value) => typeof value === 'string' && value !== '' }
const host: Rule = {
  expected: "a host name or an address, as in 'app.internal' or '::1'",
  validate: (value) => typeof value === 'string' && (isIPv6(value) || /^[^\s/[\]:\p{Cc}]+$/u.test(value)),
  default: 'localhost',
}
const id: Rule = {
  expected: 'a string without control characters, not empty',
  // Lone surrogates all become U+FFFD in UTF-8, so two such ids would share a sticky value.
  validate: (value) => value === undefined || (typeof value === 'string' && /^[^\p{Cc}\p{Cs}]+$/u.test(value)),
}
export const WEIGHT: Rule = integer(0, 65_535, 1)
const COMMON_RULES: Rules<keyof Common> = {
  weight: WEIGHT,
  maxConnections: {
    expected: 'an integer from 1, or Infinity',
    validate: (value) => value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) > 0),
    default: Number.POSITIVE_INFINITY,
  },
  backup: flag(false),
  tls: {
    expected: 'true, false, or the options of tls.connect',
    validate: (value) => typeof value === 'boolean' || anObject.validate(value),
    default: false,
  },
  sendProxy: { expected: '1 or 2', validate: (value) => value === undefined || value === 1 || value === 2 },
  hostHeader: HOST_HEADER,
  protocol: oneOf('both', 'h1', 'h2'),
}
/** The kinds of backend, each with the option that selects it. The first one present wins. */
const FORMS: readonly (readonly [name: string, rules: Rules])[] = [
  ['dns', { dns: dnsName, port, ...COMMON_RULES }],
  ['srv', { srv: dnsName, ...COMMON_RULES }],
  ['path', { path, id, ...COMMON_RULES }],
  ['port', { port, host, id, ...COMMON_RULES }],
]

type Given = Common & { dns?: string; srv?: string; path?: string; port: number; host: string; id?: string }

/**
 * Validates a backend and fills in the defaults. `place` is its name in error messages.
 * @throws {TypeError} for an unknown or invalid option
 */
export function validateBackend(place: string, options: BackendOptions | DnsOptions): Spec {
  validateOptions('', { [place]: anObject }, { [place]: options ?? null })
  const form = FORMS.find(([name]) => (options as object as Record<string, unknown>)[name] !== undefined)
  if (!form) throw new TypeError(`${place}: expected port, path, dns or srv, got ${show(options)}`)
  const given = validateOptions(place, form[1], options) as unknown as Given
  const { dns, srv, weight, maxConnections, backup, sendProxy, hostHeader, protocol } = given
  // A copy: the caller may change its object later.
  const tls = typeof given.tls === 'object' ? { ...given.tls } : given.tls
  const common = { weight, maxConnections, backup, tls, sendProxy, hostHeader, protocol }
  if (dns !== undefined) return { ...common, name: { dns, port: given.port }, source: `dns:${dns}:${given.port}` }
  if (srv !== undefined) return { ...common, name: { srv }, source: `srv:${srv}` }
  const where = given.path === undefined ? { port: given.port, host: given.host } : { path: given.path }
  return settingsOf(where, given.id, undefined, common)
}

/** The settings of a backend that the DNS returned. */
export function foundSettings(spec: DnsSourceSettings, found: Discovered): BackendSettings {
  const { id, host, port, weight = 1, backup = false } = found
  // SRV ids begin with the target. A certificate is issued for that name, not for the current address.
  const servername = 'srv' in spec.name ? id.slice(0, id.indexOf(':')) : spec.name.dns
  const named = spec.hostHeader === undefined && { servername }
  const tls = spec.tls && { ...named, ...(spec.tls === true ? undefined : spec.tls) }
  const common = { ...spec, weight: spec.weight * weight, backup: spec.backup || backup, tls }
  return settingsOf({ port, host }, id, spec.source, common)
}

/** The error for a backend or a name that is already there. */
export function takenError(place: string, spec: Spec): TypeError {
  return isDnsSource(spec)
    ? new TypeError(`${place}: expected a name that is not among the backends yet, got ${show(spec.source)}`)
    : new TypeError(`${place}.id: expected an id that no other backend has, got ${show(spec.id)}`)
}

function settingsOf(
  where: { port: number; host: string } | { path: string },
  id: string | undefined,
  source: string | undefined,
  { weight, maxConnections, backup, tls, sendProxy, hostHeader, protocol }: Common,
): BackendSettings {
  const place: BackendDest = {
    ...where,
    ...(tls && { tls: protocol === 'h2' ? offeringHttp2(tls) : tls }),
    ...(sendProxy && { sendProxy }),
    ...(hostHeader !== undefined && { hostHeader }),
  }
  return { id: id ?? addressOf(place), place, source, weight, maxConnections, backup, protocol }
}
