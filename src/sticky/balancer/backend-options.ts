import { isIPv6 } from 'node:net'
import { anObject, checkBy, flag, integer, type Rule, show } from '../../proxy/index.ts'
import { dnsName, type Found, type Name } from '../discovery/index.ts'
import { addressOf, type BackendOptions, type BackendSettings, type DnsOptions, type Place } from './backend.ts'

interface Common {
  readonly weight: number
  readonly maxConnections: number
  readonly backup: boolean
  readonly tls: Place['tls']
  readonly sendProxy: Place['sendProxy']
}

/** A name of the DNS, with what holds for each backend that it stands for. */
export interface NameSettings extends Common {
  readonly name: Name
  /** As in 'dns:app.internal:3000' or 'srv:_http._tcp.app.internal'. */
  readonly source: string
}

export type Spec = BackendSettings | NameSettings

export const isName = (spec: Spec): spec is NameSettings => 'name' in spec

const port: Rule = { ...integer(1, 65_535, 0), byDefault: undefined }
const path: Rule = { takes: 'a path', isRight: (value) => typeof value === 'string' && value !== '' }
const host: Rule = {
  takes: "a host name or an address, as in 'app.internal' or '::1'",
  isRight: (value) => typeof value === 'string' && (isIPv6(value) || /^[^\s/[\]:\p{Cc}]+$/u.test(value)),
  byDefault: '127.0.0.1',
}
const id: Rule = {
  takes: 'a string without control characters, not empty',
  // Nor lone surrogates: in UTF-8 they are all alike, and so would be the sticky values of two such ids.
  isRight: (value) => value === undefined || (typeof value === 'string' && /^[^\p{Cc}\p{Cs}]+$/u.test(value)),
}
const COMMON_RULES: Readonly<Record<keyof Common, Rule>> = {
  weight: integer(0, 65_535, 1),
  maxConnections: {
    takes: 'an integer from 1, or Infinity',
    isRight: (value) => value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) > 0),
    byDefault: Number.POSITIVE_INFINITY,
  },
  backup: flag(false),
  tls: {
    takes: 'true, false, or the options of tls.connect',
    isRight: (value) => typeof value === 'boolean' || anObject.isRight(value),
    byDefault: false,
  },
  sendProxy: { takes: '1 or 2', isRight: (value) => value === undefined || value === 1 || value === 2 },
}
/** The forms of a backend, each by the option that makes it one; of several in one object, the first counts. */
const FORMS: readonly (readonly [name: string, rules: Readonly<Record<string, Rule>>])[] = [
  ['dns', { dns: dnsName, port, ...COMMON_RULES }],
  ['srv', { srv: dnsName, ...COMMON_RULES }],
  ['path', { path, id, ...COMMON_RULES }],
  ['port', { port, host, id, ...COMMON_RULES }],
]

type Given = Common & { dns?: string; srv?: string; path?: string; port: number; host: string; id?: string }

/**
 * Fills in the defaults. `place` is what the errors call it.
 * @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes
 */
export function checkBackend(place: string, options: BackendOptions | DnsOptions): Spec {
  checkBy('', { [place]: anObject }, { [place]: options ?? null })
  const form = FORMS.find(([name]) => (options as object as Record<string, unknown>)[name] !== undefined)
  if (!form) throw new TypeError(`${place}: got ${show(options)}; takes port, path, dns or srv`)
  const given = checkBy(place, form[1], options) as unknown as Given
  const { dns, srv, weight, maxConnections, backup, sendProxy } = given
  // A copy: what the caller writes to it later is no change of ours.
  const tls = typeof given.tls === 'object' ? { ...given.tls } : given.tls
  const common = { weight, maxConnections, backup, tls, sendProxy }
  if (dns !== undefined) return { ...common, name: { dns, port: given.port }, source: `dns:${dns}:${given.port}` }
  if (srv !== undefined) return { ...common, name: { srv }, source: `srv:${srv}` }
  const where = given.path === undefined ? { port: given.port, host: given.host } : { path: given.path }
  return settingsOf(where, given.id, undefined, common)
}

/** A backend that the DNS has named. */
export function foundSettings(spec: NameSettings, found: Found): BackendSettings {
  const { id, host, port, weight = 1, backup = false } = found
  // The ids of SRV begin with the target. A certificate is for a name, not for the address that it has today.
  const servername = 'srv' in spec.name ? id.slice(0, id.indexOf(':')) : spec.name.dns
  const tls = spec.tls && { servername, ...(spec.tls === true ? undefined : spec.tls) }
  const common = { ...spec, weight: spec.weight * weight, backup: spec.backup || backup, tls }
  return settingsOf({ port, host }, id, spec.source, common)
}

/** For one that cannot be told from another. */
export function takenError(place: string, spec: Spec): TypeError {
  return isName(spec)
    ? new TypeError(`${place}: got ${show(spec.source)}; takes a name that is not among the backends yet`)
    : new TypeError(`${place}.id: got ${show(spec.id)}; takes an id that no other backend has`)
}

function settingsOf(
  where: { port: number; host: string } | { path: string },
  id: string | undefined,
  source: string | undefined,
  { weight, maxConnections, backup, tls, sendProxy }: Common,
): BackendSettings {
  const place: Place = { ...where, ...(tls && { tls }), ...(sendProxy && { sendProxy }) }
  return { id: id ?? addressOf(place), place, source, weight, maxConnections, backup }
}
