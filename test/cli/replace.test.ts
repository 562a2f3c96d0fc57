import http from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import { bindSocket } from '../helpers/passed-socket.ts'
import { Command } from './command.ts'

const REPLACEMENTS = 2
/** Connections of one request, and requests of kept-alive connections, per replacement. */
const PER_REPLACEMENT = 40

/** ms after which a drain may close a client that is idle or has sent nothing. */
const IDLE_MS = 1_000

/** Sends requests one after another until `stop`. Fails on the first error. */
class Load {
  requests = 0
  #isOver = false
  #answered: () => void = () => undefined
  readonly #ended: Promise<unknown>

  constructor(port: number, agents: readonly (http.Agent | false)[]) {
    this.#ended = Promise.all(agents.map((agent) => this.#run(port, agent)))
    // `stop` reports it.
    this.#ended.catch(() => undefined)
  }

  /** Resolves when so many more requests were answered. */
  async more(count: number): Promise<void> {
    const enough = this.requests + count
    const reached = async () => {
      while (this.requests < enough) {
        await new Promise<void>((resolve) => {
          this.#answered = resolve
        })
      }
    }
    await Promise.race([reached(), this.#ended])
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #run(port: number, agent: http.Agent | false): Promise<void> {
    let before = performance.now()
    while (!this.#isOver) {
      try {
        expect(await ask(port, agent)).toBe(200)
        this.requests++
        this.#answered()
      } catch (error) {
        // This process had no turn for so long that the drain took the client for idle.
        if (performance.now() - before < IDLE_MS / 2) throw error
      }
      before = performance.now()
    }
  }
}

async function ask(port: number, agent: http.Agent | false): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
      response.on('error', reject).on('end', () => resolve(response.statusCode))
      response.resume()
    })
    request.on('error', reject)
  })
}

test.each([
  [1, 'every'],
  [2, 'every'],
  [1, 'first'],
] as const)(
  'no client notices a new process at a passed socket; workers: %i, --requests %s',
  async (workers, requests) => {
    const socket = bindSocket()
    const backend = await listen(http.createServer((_, response) => response.end('ok')))
    const start = async () => {
      const options = ['--listen', 'fd:web', '--requests', requests, '--workers', String(workers)]
      const command = Command.startAt({ web: socket.fd }, ...options, String(backend))
      await command.said(workers > 1 ? 'workers serve\n' : 'listening on fd:web\n')
      return command
    }
    let current = await start()
    // With --requests first, a kept-alive connection is a tunnel. It lasts until the client ends it, or the grace is over.
    const kept = requests === 'first' ? [] : [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }))
    onTestFinished(() => {
      for (const agent of kept) agent.destroy()
    })
    const load = new Load(socket.port, [...kept, false, false])
    for (let i = 0; i < REPLACEMENTS; i++) {
      await load.more(PER_REPLACEMENT)
      const next = await start()
      await load.more(PER_REPLACEMENT)
      current.signal('SIGTERM')
      expect(await current.exited).toBe(0)
      current = next
    }
    await load.more(PER_REPLACEMENT)
    await load.stop()
    expect(load.requests).toBeGreaterThan(2 * REPLACEMENTS * PER_REPLACEMENT)
  },
)
