import type { KeyObject } from 'node:crypto'
import { Resolver } from 'node:dns'
import type { Backoff } from '../backoff.ts'
import { keysOf, SECRET_RULE, type Secret } from '../secret.ts'
import { anObject, integer, milliseconds, oneOf, optional, type Rules, validateOptions } from '../validate.ts'
import type { AlgorithmName } from './algorithm.ts'
import {
  type BackendOptions,
  type DnsOptions,
  isDnsSource,
  type Spec,
  takenError,
  validateBackend,
} from './backend-options.ts'
import type { BackendRules } from './backend-rules.ts'
import type { DiscoverySettings } from './discovery/index.ts'
import { EJECT_RULE, type EjectOptions, validateEject } from './eject-options.ts'
import { type HealthOptions, validateHealth } from './health/index.ts'
import { isKey, type KeyName, type KeyOf, keyReader } from './key.ts'
import { QUEUE_RULE, type QueueOptions, type QueueSettings, validateQueue } from './queue-options.ts'
import { stickyValues } from './sticky-value.ts'

export interface BalancerOptions {
  backends?: readonly (BackendOptions | DnsOptions)[] | undefined
  /**
   * How a backend is chosen for a client without a home. `round-robin` (default): in turn. `least-connections`: the one
   * with the fewest. `random-two`: the less loaded of two random ones, for many balancing processes. `hash`: by `key`,
   * the same backend for the same key on every machine. All respect the weights.
   */
  algorithm?: AlgorithmName | undefined
  /**
   * What `hash` uses: the client's address (default), the path without its query, a header, a cookie, a query
   * parameter, or the result of a function. If that is empty: the client's address.
   */
  key?: KeyName | KeyOf | undefined
  /**
   * What happens if a client's home is down or full: choose another backend (`redispatch`, the default) or answer 503
   * (`persist`).
   */
  failover?: 'redispatch' | 'persist' | undefined
  /**
   * How long a request waits if no backend has a free place or none is up (ms), instead of a 503 at once. As an object:
   * also how many may wait. Default: none waits.
   */
  queue?: number | QueueOptions | undefined
  /**
   * How long a backend that came up gets less than its weight says (ms): its share of new clients grows from a sixteenth.
   * Default 0: none.
   */
  slowStart?: number | undefined
  /**
   * How often a request with an idempotent method goes to another backend if a backend gave it no response, with
   * `requests: 'every'`. Failed connects do not count: nothing was sent. Default 0.
   */
  retries?: number | undefined
  /**
   * Ejects a backend for a while after so many failures in a row: no connection, no response, or a status of 502, 503 or
   * 504. At least half of the backends stay. As an object: with times and statuses. Default: none is ejected.
   */
  eject?: number | EjectOptions | undefined
  /** Active health checks of every backend. Default: none; a backend is down after a failed connect. */
  health?: HealthOptions | undefined
  /** How long a failed backend is not tried (ms). Doubles from `min` (100) to `max` (5000), with jitter. */
  backoff?: { min?: number | undefined; max?: number | undefined } | undefined
  /**
   * Signs sticky values. The first secret signs; all of them verify. Use the same on every machine. Without one, anyone
   * who guesses a backend's id can forge its value.
   */
  secret?: Secret | readonly Secret[] | undefined
  /** DNS settings for `dns` and `srv` backends. */
  dns?:
    | {
        /** Addresses of name servers, each with an optional port. Default: the system's. */
        servers?: readonly string[] | undefined
        /** Time between look-ups (ms). 0 (default): the records' TTL. */
        interval?: number | undefined
        /** How long the last addresses stay after the DNS says that there are none (ms). Default 30000. */
        hold?: number | undefined
        /** Time-out of one query (ms). Default 5000. */
        timeout?: number | undefined
      }
    | undefined
}

/** Validated options, defaults filled in. */
export interface BalancerSettings extends BackendRules {
  readonly specs: readonly Spec[]
  readonly algorithm: AlgorithmName
  readonly keyOf: KeyOf
  readonly isPersistent: boolean
  readonly retries: number
  readonly queue: QueueSettings | undefined
  readonly keys: readonly KeyObject[]
  readonly dns: DiscoverySettings
}

const A_DAY = 24 * 60 * 60 * 1000

const RULES: Rules<keyof BalancerOptions> = {
  backends: { expected: 'a list of backends', validate: Array.isArray, default: [] },
  algorithm: oneOf('round-robin', 'least-connections', 'random-two', 'hash'),
  key: {
    expected: "'client', 'path', 'header:', 'cookie:' or 'query:' with a name, or a function",
    validate: (value) => typeof value === 'function' || isKey(value),
    default: 'client',
  },
  failover: oneOf('redispatch', 'persist'),
  queue: QUEUE_RULE,
  slowStart: milliseconds(0, A_DAY, 0),
  retries: integer(0, 10, 0),
  eject: EJECT_RULE,
  health: optional(anObject),
  backoff: anObject,
  secret: SECRET_RULE,
  dns: anObject,
}

const BACKOFF_RULES = {
  min: milliseconds(1, A_DAY, 100),
  max: milliseconds(1, A_DAY, 5000),
}

const DNS_RULES: Rules<keyof DiscoverySettings> = {
  servers: {
    expected: "a list of addresses, each with an optional port, as in '10.0.0.53' or '[::1]:5353'",
    validate: (value) => value === undefined || (Array.isArray(value) && areServers(value)),
  },
  interval: milliseconds(0, A_DAY, 0, "0 for the answers' own"),
  hold: milliseconds(0, A_DAY, 30_000),
  timeout: milliseconds(1, A_DAY, 5000),
}

/** @throws {TypeError} for an unknown or invalid option */
export function validateBalancer(options: BalancerOptions): BalancerSettings {
  validateOptions('', { options: anObject }, { options })
  const given = validateOptions('', RULES, options) as unknown as Required<BalancerOptions>
  const backoff = validateOptions('backoff', BACKOFF_RULES, given.backoff!) as unknown as Backoff
  if (backoff.min > backoff.max) {
    throw new TypeError(`backoff.min: expected no more than backoff.max, which is ${backoff.max}, got ${backoff.min}`)
  }
  const { servers, ...pace } = validateOptions('dns', DNS_RULES, given.dns!) as unknown as DiscoverySettings
  const keys = keysOf(given.secret)
  // map() skips the holes of a sparse array; a spread copy has none.
  const specs = [...given.backends!].map((one, i) => validateBackend(`backends[${i}]`, one))
  checkUnique(specs, keys)
  return {
    specs,
    algorithm: given.algorithm!,
    keyOf: keyReader(given.key!),
    isPersistent: given.failover === 'persist',
    slowStart: given.slowStart!,
    retries: given.retries!,
    queue: validateQueue(given.queue),
    eject: validateEject(given.eject),
    health: given.health && validateHealth(given.health),
    backoff,
    keys,
    // A copy: the caller may change its object later.
    dns: { servers: servers && [...servers], ...pace },
  }
}

/** @throws {TypeError} if two backends share an id, a sticky value or a DNS name */
function checkUnique(specs: readonly Spec[], keys: readonly KeyObject[]): void {
  const taken = new Set<string>()
  for (const [i, spec] of specs.entries()) {
    const marks = isDnsSource(spec) ? [spec.source] : stickyValues(spec.id, keys)
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
