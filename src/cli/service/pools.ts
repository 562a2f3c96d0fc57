import { validateBalancer } from '../../balancer/index.ts'
import {
  type BackendHistory,
  type Balancer,
  type BalancerOptions,
  createBalancer,
  type Dest,
  type KeyOf,
} from '../../index.ts'
import { propertyOf } from '../../show.ts'
import type { AdminStatus, BackendDetails, Controls } from '../admin/index.ts'
import { type Config, DEFAULT_POOL, poolsOf, show } from '../config/index.ts'
import type { Targets } from './backend-tls.ts'
import type { Operated } from './shared-context.ts'

/** A backend of a pool. */
export interface Place {
  readonly pool: string
  /** Its id in the pool. */
  readonly backend: string
  /** Its id on the admin page, which names the pool too. */
  readonly id: string
}

/** The options of each pool's balancer, by the pool's name. */
export type PoolOptions = ReadonlyMap<string, BalancerOptions>

/** Makes the options of all pools. `clientAddress` returns the key of a client for the algorithm `hash`. */
export function poolOptions(config: Config, targets: Targets, clientAddress: KeyOf): PoolOptions {
  const { backoff, secret, dns } = config
  return new Map(
    poolsOf(config).map(({ name, algorithm, failover, queue, slowStart, retries, eject, health, key }) => {
      const options = { algorithm, failover, queue, slowStart, retries, eject, health, backoff, secret, dns }
      return [name, { ...options, backends: targets.get(name), key: key === 'client' ? clientAddress : key }]
    }),
  )
}

/** Where a backend is: its balancer, its id there, and its pool. */
interface Location {
  balancer: Balancer
  own: string
  pool: string
  history: BackendHistory
}

/**
 * The balancers of a service, one for each pool. The admin page sees them as one: ids of backends in other pools than
 * 'default' begin with the pool's name and a slash.
 */
export class Pools implements Controls {
  readonly #announce: (balancer: Balancer, prefix: string) => void
  readonly #balancers = new Map<string, Balancer>()
  /** Pools that a reload removed. Connections under an earlier config may still use them. */
  readonly #removed = new Map<string, Balancer>()
  /** By the `backend` of a Dest. */
  readonly #places = new WeakMap<object, Place>()

  /** `announce` is called for each new balancer. @throws {TypeError} for invalid options */
  constructor(options: PoolOptions, announce: (balancer: Balancer, prefix: string) => void) {
    this.#announce = announce
    this.update(options)
  }

  /** The balancer of a pool of the current config, or of an earlier one that is still in use. */
  get(name: string): Balancer {
    return (this.#balancers.get(name) ?? this.#removed.get(name))!
  }

  /** Replaces the options of all pools. @throws {TypeError} for invalid options, before anything has changed */
  update(options: PoolOptions): void {
    for (const one of options.values()) validateBalancer(one)
    for (const [name, balancer] of this.#balancers) {
      if (options.has(name)) continue
      this.#balancers.delete(name)
      this.#removed.set(name, balancer)
    }
    for (const [name, one] of options) {
      const known = this.#balancers.get(name) ?? this.#removed.get(name)
      this.#removed.delete(name)
      known?.update(one)
      const balancer = known ?? createBalancer(one)
      this.#balancers.set(name, balancer)
      if (!known) this.#announce(balancer, prefixOf(name))
    }
  }

  /** Ends the removed pools. No connection may use them any more. */
  closeRemoved(): void {
    for (const balancer of this.#removed.values()) balancer.close()
    this.#removed.clear()
  }

  close(): void {
    this.closeRemoved()
    for (const balancer of this.#balancers.values()) balancer.close()
  }

  /** Resolves after the first look-up of every DNS name, successful or not. */
  async resolved(): Promise<void> {
    await Promise.all([...this.#balancers.values()].map((balancer) => balancer.resolved()))
  }

  get backends(): AdminStatus[] {
    return statusesOf(this.#balancers, ({ backends }) => backends)
  }

  /** Number of requests that wait for a backend. */
  get queued(): number {
    const all = [...this.#balancers.values(), ...this.#removed.values()]
    return all.reduce((sum, { queued }) => sum + queued, 0)
  }

  get removed(): AdminStatus[] {
    const open = ({ backends }: Balancer) => backends.filter(({ connections }) => connections > 0)
    const ofPools = statusesOf(this.#balancers, ({ removed }) => removed)
    return [...ofPools, ...statusesOf(this.#removed, (balancer) => [...open(balancer), ...balancer.removed])]
  }

  /** @throws {RangeError} for an unknown id */
  drain(id: string): void {
    const { balancer, own } = this.#control(id)
    balancer.drain(own)
  }

  /** @throws {RangeError} for an unknown id */
  ready(id: string): void {
    const { balancer, own } = this.#control(id)
    balancer.ready(own)
  }

  /** @throws {RangeError} for an unknown id */
  kill(id: string): number {
    const { balancer, own } = this.#control(id)
    return balancer.kill(own)
  }

  /** @throws {TypeError} for an invalid weight; {RangeError} for an unknown id */
  setWeight(id: string, weight: number | undefined): void {
    const { balancer, own } = this.#control(id)
    balancer.setWeight(own, weight)
  }

  /** @throws {RangeError} for an unknown id */
  details(id: string): BackendDetails {
    const { pool, history } = this.#control(id)
    return { id, pool, ...history }
  }

  /** Does again what an operator did before, to the backends that are there. */
  restore({ drained, weights }: Operated): void {
    for (const id of drained) if (this.has(id)) this.drain(id)
    for (const [id, weight] of weights) if (this.has(id)) this.setWeight(id, weight)
  }

  /** The place of a Dest's backend: the same object for all Dests of a backend. */
  find(dest: Dest | undefined): Place | undefined {
    const key = propertyOf(dest, 'backend')
    if (typeof key !== 'object' || key === null) return undefined
    const known = this.#places.get(key)
    if (known) return known
    for (const [pool, balancer] of [...this.#balancers, ...this.#removed]) {
      const backend = balancer.backendOf(dest)?.id
      if (backend === undefined) continue
      const place = { pool, backend, id: prefixOf(pool) + backend }
      this.#places.set(key, place)
      return place
    }
    return undefined
  }

  has(id: string): boolean {
    return this.#locate(id) !== undefined
  }

  #control(id: string): Location {
    const found = this.#locate(id)
    if (found) return found
    throw new RangeError(`id: expected the id of a backend, got ${show(id)}`)
  }

  /** Costs little, however many backends and connections there are. */
  #locate(id: string): Location | undefined {
    for (const [pool, balancer] of this.#balancers) {
      const own = id.slice(prefixOf(pool).length)
      const history = id.startsWith(prefixOf(pool)) ? historyOf(balancer, own) : undefined
      if (history) return { balancer, own, pool, history }
    }
    return undefined
  }
}

/** Undefined for an unknown id. */
function historyOf(balancer: Balancer, id: string): BackendHistory | undefined {
  try {
    return balancer.history(id)
  } catch {
    return undefined
  }
}

function prefixOf(name: string): string {
  return name === DEFAULT_POOL ? '' : `${name}/`
}

function statusesOf(
  balancers: ReadonlyMap<string, Balancer>,
  read: (balancer: Balancer) => Balancer['backends'],
): AdminStatus[] {
  return [...balancers].flatMap(([name, balancer]) =>
    read(balancer).map((status) => ({ ...status, id: prefixOf(name) + status.id, pool: name })),
  )
}
