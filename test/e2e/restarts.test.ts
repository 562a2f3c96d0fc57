import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type BalancerOptions, createBalancer } from '../../src/balancer/index.ts'
import { createServer } from '../../src/index.ts'
import { Child } from '../helpers/child.ts'
import { answerOf } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// Backends in processes of their own, which are killed and started again under load.

const CLIENTS = 6

/** Sends requests of a method from several clients, until `stop`. */
class Load extends EventEmitter<{ answer: [] }> {
  readonly statuses = new Map<string | number, number>()
  #count = 0
  #isOver = false
  readonly #agent = new http.Agent({ keepAlive: true })
  readonly #loops: Promise<void>[]

  constructor(port: number) {
    super()
    onTestFinished(() => this.#agent.destroy())
    this.#loops = Array.from({ length: CLIENTS }, async () => {
      while (!this.#isOver) await this.#ask(port)
    })
  }

  async #ask(port: number): Promise<void> {
    let outcome: string | number
    try {
      const request = http.get({ port, host: '127.0.0.1', agent: this.#agent, headers: { 'X-Id': this.#count } })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      outcome = (await answerOf(response)).status
    } catch (error) {
      outcome = String((error as NodeJS.ErrnoException).code)
    }
    this.#count++
    this.statuses.set(outcome, (this.statuses.get(outcome) ?? 0) + 1)
    this.emit('answer')
  }

  /** Resolves after `count` more answers. */
  async progress(count: number): Promise<void> {
    for (const goal = this.#count + count; this.#count < goal; ) await once(this, 'answer')
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

async function start(count: number, options: BalancerOptions) {
  const LOG = join(temporaryDirectory(), 'arrivals')
  const children = await Promise.all(Array.from({ length: count }, () => Child.start('./counting-node.mjs', { LOG })))
  const backends = children.map(({ host, port }) => ({ host, port, id: String(port) }))
  const balancer = createBalancer({ backends, backoff: { min: 10, max: 100 }, ...options })
  onTestFinished(() => balancer.close())
  const { lookup, errback } = balancer
  const server = createServer({ lookup, errback, requests: 'every' })
  return { children, balancer, server, load: new Load(await listen(server)) }
}

test('with retries, each GET gets its answer while backends are killed in turn', async () => {
  const { children, balancer, server, load } = await start(3, { retries: 2 })
  for (const child of [...children, ...children]) {
    await load.progress(50)
    const down = once(balancer, 'down')
    await child.kill()
    await down
    await load.progress(50)
    const up = once(balancer, 'up')
    await child.restart()
    await up
  }
  await load.stop()
  expect([...load.statuses.keys()]).toEqual([200])
  const { requests, retries } = server.counters
  console.log(`restarts, with retries: ${requests} requests, ${retries} sent again, 6 kills, no error`)
})

test('with a queue, each GET gets its answer while the only backend is away', async () => {
  const { children, balancer, load } = await start(1, { queue: 600_000 })
  const [child] = children as [Child]
  for (let i = 0; i < 5; i++) {
    await load.progress(50)
    // As a deployment does it: no new requests, let those under way end, and stop the process.
    balancer.drain(String(child.port))
    while (balancer.backends[0]!.connections > 0) await turn()
    await child.kill()
    const down = once(balancer, 'down')
    balancer.ready(String(child.port))
    await down
    while (balancer.queued < CLIENTS) await turn()
    const up = once(balancer, 'up')
    await child.restart()
    await up
  }
  await load.progress(50)
  await load.stop()
  expect([...load.statuses.keys()]).toEqual([200])
})
