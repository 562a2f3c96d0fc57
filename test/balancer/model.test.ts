import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type BackendOptions, type Balancer, type BalancerOptions, createBalancer } from '../../src/balancer/index.ts'
import { createServer, type ProxyServer } from '../../src/proxy/index.ts'
import { Backend, connect, deadPort, type Peer } from '../helpers/net.ts'
import { ask, statusOf, stickyOf, until } from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const HOMES = ['one', 'two', 'mute'] as const
type Home = (typeof HOMES)[number]

/** A client that is connected or connecting to a backend. */
interface Visit {
  home: Home
  client: Peer
  upstream: Peer
}

/** A balancer with real clients and backends, and the model of what it should report. */
class World {
  readonly #servers: Record<Home, Backend>
  readonly #backends: readonly (BackendOptions & { id: string })[]
  readonly #options: BalancerOptions
  readonly #balancer: Balancer
  readonly #proxy: ProxyServer
  #sticky = ''
  #visits: Visit[] = []
  #reached = { one: 0, two: 0, mute: 0 }
  #hasFailed = false

  constructor(servers: Record<Home, Backend>, dead: number) {
    this.#servers = servers
    this.#backends = [
      { port: servers.one.port, host: '127.0.0.1', id: 'one' },
      { port: servers.two.port, host: '127.0.0.1', id: 'two' },
      // It accepts and never finishes the TLS handshake: its clients stay connecting.
      { port: servers.mute.port, host: '127.0.0.1', id: 'mute', tls: true },
      { port: dead, host: '127.0.0.1', id: 'dead' },
    ]
    this.#options = {
      backends: this.#backends,
      backoff: { min: 600_000, max: 600_000 },
      failover: 'persist',
    }
    this.#balancer = createBalancer(this.#options)
    this.#proxy = createServer({
      lookup: (head, client) => this.#balancer.lookup(head, this.#sticky, client),
      errback: this.#balancer.errback,
      connectTimeout: 0,
    })
  }

  get #port(): number {
    return (this.#proxy.address() as AddressInfo).port
  }

  async start(): Promise<void> {
    this.#proxy.listen(0, '127.0.0.1')
    await once(this.#proxy, 'listening')
  }

  async stop(): Promise<void> {
    while (this.#visits.length > 0) await this.leave(0, 'client')
    await this.check()
    expect(this.#balancer.backends.every(({ connections }) => connections === 0)).toBe(true)
    this.#balancer.close()
    await this.#proxy.drain(0)
  }

  async open(home: Home): Promise<void> {
    this.#sticky = stickyOf(home)
    const client = await connect(this.#port)
    client.write(GET)
    const upstream = await this.#servers[home].next()
    // A connection that is given up early ends instead of being reset.
    if (home === 'mute') upstream.socket.on('end', () => upstream.end())
    else {
      await upstream.until('\r\n\r\n')
      this.#reached[home]++
    }
    this.#visits.push({ home, client, upstream })
  }

  async fail(): Promise<void> {
    this.#sticky = stickyOf('dead')
    expect(await ask(this.#port)).toMatch(/^HTTP\/1.1 503 /)
    this.#hasFailed = true
  }

  async leave(at: number, who: 'client' | 'backend' | 'both'): Promise<void> {
    const [visit] = this.#visits.splice(at % Math.max(1, this.#visits.length), 1)
    if (!visit) return
    const { client, upstream, home } = visit
    // Otherwise the backend without TLS would go down.
    if (home === 'mute' || who === 'client') client.reset()
    else if (who === 'backend') upstream.reset()
    else {
      client.end()
      upstream.end()
    }
    await closed(visit)
  }

  async kill(home: Home): Promise<void> {
    const killed = this.#visits.filter((visit) => visit.home === home)
    expect(this.#balancer.kill(home)).toBe(killed.length)
    this.#visits = this.#visits.filter((visit) => visit.home !== home)
    await Promise.all(killed.map(closed))
  }

  drain(home: Home, isDraining: boolean): void {
    if (isDraining) this.#balancer.drain(home)
    else this.#balancer.ready(home)
  }

  /** Not for 'mute': its clients would go to another backend. */
  removeAndAdd(home: 'one' | 'two'): void {
    this.#balancer.remove(home)
    this.#balancer.add(this.#backends.find(({ id }) => id === home)!)
    if (!this.#visits.some((visit) => visit.home === home)) this.#reached[home] = 0
  }

  update(): void {
    this.#balancer.update(this.#options)
  }

  /** Waits until the counts are right; a test that never ends is a wrong count. */
  async check(): Promise<void> {
    for (const home of HOMES) {
      const count = this.#visits.filter((visit) => visit.home === home).length
      await until(() => statusOf(this.#balancer, home).connections === count)
      expect(statusOf(this.#balancer, home)).toMatchObject({ total: this.#reached[home], state: 'up', failures: 0 })
    }
    const dead = { connections: 0, total: 0, failures: this.#hasFailed ? 1 : 0, state: this.#hasFailed ? 'down' : 'up' }
    expect(statusOf(this.#balancer, 'dead')).toMatchObject(dead)
  }
}

async function closed({ client, upstream }: Visit): Promise<void> {
  await client.closed()
  await upstream.closed()
}

type Action = (world: World) => void | Promise<void>

const home = fc.constantFrom(...HOMES)
/** Commands have names, so that a counter-example is readable. */
const action = <T extends fc.Arbitrary<unknown>[]>(
  weight: number,
  name: string,
  run: (
    world: World,
    ...values: { [K in keyof T]: T[K] extends fc.Arbitrary<infer V> ? V : never }
  ) => void | Promise<void>,
  ...values: T
) => ({
  weight,
  arbitrary: fc.tuple(...values).map((given): Action => {
    const act: Action = (world) => run(world, ...(given as never))
    return Object.assign(act, { [fc.toStringMethod]: () => [name, ...given].join(' ') })
  }),
})

const actions = fc.array(
  fc.oneof(
    action(6, 'open', (world, at) => world.open(at), home),
    action(1, 'fail', (world) => world.fail()),
    action(1, 'client resets', (world, at) => world.leave(at, 'client'), fc.nat(9)),
    action(1, 'backend resets', (world, at) => world.leave(at, 'backend'), fc.nat(9)),
    action(1, 'both end', (world, at) => world.leave(at, 'both'), fc.nat(9)),
    action(1, 'kill', (world, at) => world.kill(at), home),
    action(1, 'drain', (world, at, isDraining) => world.drain(at, isDraining), home, fc.boolean()),
    action(1, 'remove and add', (world, at) => world.removeAndAdd(at), fc.constantFrom('one', 'two')),
    action(1, 'update', (world) => world.update()),
  ),
  { maxLength: 25, size: 'max' },
)

it('counts exactly the open connections, whatever happens in whatever order', async () => {
  const servers = { one: await Backend.start(), two: await Backend.start(), mute: await Backend.start() }
  const dead = await deadPort()
  await fc.assert(
    fc.asyncProperty(actions, async (list) => {
      const world = new World(servers, dead)
      await world.start()
      for (const act of list) {
        await act(world)
        await world.check()
      }
      await world.stop()
    }),
    { numRuns: 50, timeout: 3000, interruptAfterTimeLimit: 25000 },
  )
})
