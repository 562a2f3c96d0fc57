import type { KeyObject } from 'node:crypto'
import { Resolver } from 'node:dns'
import { anObject, checkBy, integer, type Rule } from '../../proxy/index.ts'
import type { Backoff } from '../backoff.ts'
import type { DiscoverySettings } from '../discovery/index.ts'
import { checkHealth, type HealthOptions } from '../health/index.ts'
import { keysOf, SECRET_RULE, type Secret, stickyValues } from '../secret.ts'
import type { AlgorithmName } from './algorithm.ts'
import type { BackendOptions, DnsOptions, HealthRules } from './backend.ts'
import { checkBackend, isName, type Spec, takenError } from './backend-options.ts'
import { type KeyOf, keyReader } from './key.ts'

export interface BalancerOptions {
  backends?: readonly (BackendOptions | DnsOptions)[] | undefined
  /**
   * How a backend is chosen for a client without a home. `round-robin` (the default): in turns. `least-connections`: who
   * has the fewest. `random-two`: the less loaded of two at random, for when many processes balance. `hash`: by `key`,
   * the same backend for the same key on every machine. All of them heed the weights.
   */
  algorithm?: AlgorithmName | undefined
  /**
   * What `hash` goes by: the client's address (the default), the path without its query, a header, or what a function
   * says. Where there is none, the client's address.
   */
  key?: 'client' | 'path' | `header:${string}` | KeyOf | undefined
  /** A client whose home is down or full gets a new one (`redispatch`, the default), or a 503 (`persist`). */
  failover?: 'redispatch' | 'persist' | undefined
  /** Checks of every backend, all the time. Default: only what becomes of the connections of clients counts. */
  health?: HealthOptions | undefined
  /** ms that a backend which failed is left alone. Doubles from `min` (100) to `max` (5000), jittered. */
  backoff?: { min?: number | undefined; max?: number | undefined } | undefined
  /**
   * The key, or the keys, of the sticky values: the first makes them, each is read. The same on every machine. Without,
   * whoever guesses a backend's id can make its value.
   */
  secret?: Secret | readonly Secret[] | undefined
  /** How `dns` and `srv` backends are looked up. */
  dns?:
    | {
        /** Addresses of name servers, each with an optional port. Default: the system's. */
        servers?: readonly string[] | undefined
        /** ms between two look-ups. 0 (the default): as long as the answers may be kept. */
        interval?: number | undefined
        /** ms for one question. Default 5000. */
        timeout?: number | undefined
      }
    | undefined
}

/** Options, checked, with each default in its place. */
export interface BalancerSettings extends HealthRules {
  readonly specs: readonly Spec[]
  readonly algorithm: AlgorithmName
  readonly keyOf: KeyOf
  readonly isPersistent: boolean
  readonly keys: readonly KeyObject[]
  readonly dns: DiscoverySettings
}

const LONGEST_MS = 24 * 60 * 60 * 1000
const oneOf = (...names: string[]): Rule => ({
  takes: `'${names.join("', '")}'`.replace(/, ([^,]*)$/, ' or $1'),
  isRight: (value) => names.includes(value as string),
  byDefault: names[0],
})

const RULES: Readonly<Record<keyof BalancerOptions, Rule>> = {
  backends: { takes: 'a list of backends', isRight: Array.isArray, byDefault: [] },
  algorithm: oneOf('round-robin', 'least-connections', 'random-two', 'hash'),
  key: {
    takes: "'client', 'path', 'header:' with a name, or a function",
    isRight: (value) => typeof value === 'function' || (typeof value === 'string' && KEY.test(value)),
    byDefault: 'client',
  },
  failover: oneOf('redispatch', 'persist'),
  health: { ...anObject, isRight: (value) => value === undefined || anObject.isRight(value), byDefault: undefined },
  backoff: anObject,
  secret: SECRET_RULE,
  dns: anObject,
}
const KEY = /^(?:client|path|header:[!#$%&'*+\-.^_`|~\w]+)$/

const BACKOFF_RULES = {
  min: integer(1, LONGEST_MS, 100, ' (ms)'),
  max: integer(1, LONGEST_MS, 5000, ' (ms)'),
}

const DNS_RULES: Readonly<Record<keyof DiscoverySettings, Rule>> = {
  servers: {
    takes: "a list of addresses, each with an optional port, as in '10.0.0.53' or '[::1]:5353'",
    isRight: (value) => value === undefined || (Array.isArray(value) && areServers(value)),
  },
  interval: integer(0, LONGEST_MS, 0, " (ms; 0 for the answers' own)"),
  timeout: integer(1, LONGEST_MS, 5000, ' (ms)'),
}

/** @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes */
export function checkBalancer(options: BalancerOptions): BalancerSettings {
  checkBy('', { options: anObject }, { options })
  const given = checkBy('', RULES, options) as unknown as Required<BalancerOptions>
  const backoff = checkBy('backoff', BACKOFF_RULES, given.backoff!) as unknown as Backoff
  if (backoff.min > backoff.max) {
    throw new TypeError(`backoff.min: got ${backoff.min}; takes no more than backoff.max, which is ${backoff.max}`)
  }
  const { servers, ...pace } = checkBy('dns', DNS_RULES, given.dns!) as unknown as DiscoverySettings
  const keys = keysOf(given.secret)
  // Spread, as map() leaves out the holes of an array.
  const specs = [...given.backends!].map((one, i) => checkBackend(`backends[${i}]`, one))
  checkUnique(specs, keys)
  return {
    specs,
    algorithm: given.algorithm!,
    keyOf: keyReader(given.key!),
    isPersistent: given.failover === 'persist',
    health: given.health && checkHealth(given.health),
    backoff,
    keys,
    // A copy: what the caller writes to it later is no change of ours.
    dns: { servers: servers && [...servers], ...pace },
  }
}

/** @throws {TypeError} where two cannot be told apart */
function checkUnique(specs: readonly Spec[], keys: readonly KeyObject[]): void {
  const taken = new Set<string>()
  for (const [i, spec] of specs.entries()) {
    const marks = isName(spec) ? [spec.source] : stickyValues(spec.id, keys)
    if (marks.some((mark) => taken.has(mark))) throw takenError(`backends[${i}]`, spec)
    for (const mark of marks) taken.add(mark)
  }
}

function areServers(value: unknown[]): boolean {
  try {
    new Resolver().setServers([...value] as string[])
    return value.length > 0
  } catch {
    return false
  }
}
