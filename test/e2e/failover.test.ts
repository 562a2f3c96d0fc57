import { channel } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Balancer, type BalancerOptions, createBalancer, type Route } from '../../src/balancer/index.ts'
import { type ConnectionEvents, createServer } from '../../src/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { Child } from '../helpers/child.ts'
import { answerOf } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const BACKENDS = 4
const CHECKS = { path: '/health', interval: 50 }
const LOOPS = 8
/** Requests between a kill and the restart, and from the restart to the next kill. */
const STEP = 60

describe.each<[name: string, isSticky: boolean, options: BalancerOptions]>([
  ['sticky, round-robin', true, { algorithm: 'round-robin' }],
  ['sticky, least-connections, active checks', true, { algorithm: 'least-connections', health: CHECKS }],
  ['not sticky, random-two', false, { algorithm: 'random-two' }],
])('while backends are killed and started again in turn, %s', (name, isSticky, options) => {
  test('only clients of a killed backend see an error, and no request arrives twice', async () => {
    const load = await Load.start(isSticky, options)
    const loops = Array.from({ length: LOOPS }, (_, i) => load.run(i % 2 === 0))
    for (const child of [...load.children, ...load.children]) {
      await load.progress(STEP)
      await load.kill(child)
      await load.progress(STEP)
      await load.restart(child)
    }
    await load.progress(STEP)
    load.stop()
    await Promise.all(loops)

    const failed = load.shots.filter(({ status }) => status !== 200)
    expect(failed.filter(({ reached }) => !load.killed.has(reached!))).toEqual([])
    // The response breaks off, or is a 502 if it had not started. It never says that no backend is available.
    expect(failed.filter((shot) => !['502', 'ECONNRESET', 'EPIPE'].includes(kindOf(shot)))).toEqual([])

    const arrivals = load.arrivals()
    const counted = load.shots.map((shot) => ({ ...shot, arrived: arrivals.get(shot.id) ?? 0 }))
    expect(counted.filter(({ arrived }) => arrived > 1)).toEqual([])
    expect(counted.filter(({ arrived, status }) => status === 200 && arrived !== 1)).toEqual([])
    expect(load.moves.filter(({ from }) => !load.killed.has(from))).toEqual([])

    // The load has exercised kills and failovers.
    expect(load.killed.size).toBe(2 * BACKENDS)
    expect(load.failovers).toBeGreaterThan(0)
    if (isSticky) expect(load.moves.length).toBeGreaterThan(0)
    console.log(
      `failover, ${name}: ${load.shots.length} requests, ${load.killed.size} kills, ${load.failovers} failovers, ` +
        `${load.moves.length} clients moved, ${failed.length} errors, all of connections to a killed backend: ` +
        JSON.stringify(countBy(failed.map(kindOf))),
    )
  })
})

function countBy(kinds: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

function kindOf({ error, status }: Shot): string {
  return String(error ? error.code : status)
}

/** One request and its outcome. */
interface Shot {
  id: string
  /** The process that the proxy connected to. */
  reached: number | undefined
  status?: number
  /** The process that answered. */
  pid?: number
  cookie?: string | undefined
  error?: NodeJS.ErrnoException
}

/** A steady load of new connections through a sticky proxy to backends in separate processes. */
class Load {
  readonly shots: Shot[] = []
  /** Number of killed processes. */
  readonly killed = new Set<number>()
  /** Number of unreachable backends that another backend replaced. */
  failovers = 0
  /** Number of moves from one process to another by clients that keep the cookie. */
  readonly moves: { from: number; to: number }[] = []
  readonly children: Child[] = []
  #log = ''
  #balancer!: Balancer
  #port = 0
  #isOver = false
  /** The process that the last connection of a client reached, by the client's port. */
  readonly #reached = new Map<number, number>()
  readonly #shooting = new EventEmitter<{ shot: [] }>()

  static async start(isSticky: boolean, options: BalancerOptions): Promise<Load> {
    const load = new Load()
    load.#log = join(temporaryDirectory(), 'arrivals')
    const starts = Array.from({ length: BACKENDS }, () => Child.start('./counting-node.mjs', { LOG: load.#log }))
    load.children.push(...(await Promise.all(starts)))
    const balancer = createBalancer({
      ...options,
      backends: load.children.map(({ host, port }) => ({ host, port, id: String(port) })),
      backoff: { min: 10, max: 100 },
    })
    onTestFinished(() => balancer.close())
    load.#balancer = balancer
    const errback: Balancer['errback'] = (error, dest, head) => {
      const next = balancer.errback(error, dest, head)
      if (next && 'backend' in next) load.failovers++
      return next
    }
    const server = isSticky
      ? createStickyServer<Route>(balancer.lookup, errback, { cookie: { insert: true } })
      : createServer<Route>(balancer.lookup, undefined, errback)
    load.#port = await listen(server)
    load.#watch()
    return load
  }

  /** Sends requests one by one, each on a new connection, until it is stopped. */
  async run(keepsCookie: boolean): Promise<void> {
    let [home, cookie] = [0, '']
    for (let i = 0; !this.#isOver; i++) {
      const shot = await this.#shoot(i % 2 === 0 ? '' : 'x'.repeat(i * 97), cookie)
      this.shots.push(shot)
      this.#shooting.emit('shot')
      if (!keepsCookie || !shot.pid || !shot.cookie) continue
      if (home && home !== shot.pid) this.moves.push({ from: home, to: shot.pid })
      home = shot.pid
      cookie = shot.cookie
    }
  }

  stop(): void {
    this.#isOver = true
  }

  /** Resolves after `count` more requests. */
  async progress(count: number): Promise<void> {
    const goal = this.shots.length + count
    while (this.shots.length < goal) await once(this.#shooting, 'shot')
  }

  /** Resolves when the balancer knows that the backend is down. */
  async kill(child: Child): Promise<void> {
    const noticed = this.#heard('down', child)
    this.killed.add(child.pid)
    await child.kill()
    await noticed
  }

  /** Resolves when the balancer knows that the backend is up. */
  async restart(child: Child): Promise<void> {
    const noticed = this.#heard('up', child)
    await child.restart()
    await noticed
  }

  /** How often each request has arrived at a backend. */
  arrivals(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const id of readFileSync(this.#log, 'latin1').trim().split('\n')) counts.set(id, (counts.get(id) ?? 0) + 1)
    return counts
  }

  /** A request with a body is a POST. */
  async #shoot(body: string, cookie: string): Promise<Shot> {
    const id = String(this.shots.length + Math.random())
    const request = http.request({
      port: this.#port,
      host: '127.0.0.1',
      agent: false,
      method: body ? 'POST' : 'GET',
      headers: { 'X-Id': id, ...(cookie && { Cookie: cookie }), ...(body && { 'Content-Length': body.length }) },
    })
    let localPort = 0
    request.on('socket', (socket) => socket.on('connect', () => (localPort = socket.localPort!)))
    try {
      request.end(body)
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const answer = await answerOf(response)
      const shot = { id, reached: this.#reached.get(localPort), status: answer.status }
      if (answer.status !== 200) return shot
      const { pid, length } = JSON.parse(String(answer.body))
      expect(length).toBe(body.length)
      return { ...shot, pid, cookie: answer.headers['set-cookie']?.[0]?.split(';')[0] }
    } catch (error) {
      return { id, reached: this.#reached.get(localPort), error: error as NodeJS.ErrnoException }
    }
  }

  #heard(name: 'up' | 'down', child: Child): Promise<void> {
    return new Promise((resolve) => {
      const hear = (status: { id: string }) => {
        if (status.id !== String(child.port)) return
        this.#balancer.off(name, hear)
        resolve()
      }
      this.#balancer.on(name, hear)
    })
  }

  #watch(): void {
    const opened = (message: unknown) => {
      this.#reached.delete((message as ConnectionEvents['open']).connection.client.remotePort!)
    }
    const connected = (message: unknown) => {
      const { connection, dest } = message as ConnectionEvents['connected']
      const child = this.children.find(({ port }) => 'port' in dest && port === dest.port)
      this.#reached.set(connection.client.remotePort!, child!.pid)
    }
    const channels = { open: opened, connected }
    for (const [name, hear] of Object.entries(channels)) {
      channel(`badass:connection:${name}`).subscribe(hear)
      onTestFinished(() => void channel(`badass:connection:${name}`).unsubscribe(hear))
    }
  }
}
