import http from 'node:http'
import type net from 'node:net'
import tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import { createServer, handler } from '../../src/proxy/index.ts'
import { connect, listen } from '../helpers/net.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { balancerOf, idle, request, until } from './support.ts'

// Many clients that come and leave at random while backends fill up and drain: nobody waits forever, and no backend gets
// more connections than it may have.

/** Repeatable numbers from 0 (inclusive) to 1 (exclusive). */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A backend that answers after some turns of the event loop, and knows how many requests it has at most. */
class Busy {
  most = 0
  served = 0
  #open = 0

  async listen(random: () => number): Promise<number> {
    const server = http.createServer(async (_, response) => {
      this.most = Math.max(this.most, ++this.#open)
      response.on('close', () => this.#open--)
      for (let turns = Math.floor(random() * 20); turns > 0; turns--) await turn()
      this.served++
      response.writeHead(200, { Connection: 'close' }).end('ok')
    })
    return listen(server)
  }
}

describe.each(['first', 'every'] as const)('with requests: %s', (requests) => {
  it.each([1, 2, 3, 4, 5])('seed %d', async (seed) => {
    const random = numbers(seed)
    const backends = [new Busy(), new Busy()]
    const ports = await Promise.all(backends.map((one) => one.listen(random)))
    const limits = [1, 3]
    const balancer = balancerOf({
      backends: ports.map((port, i) => ({ port, id: String(i), maxConnections: limits[i]! })),
      queue: { timeout: 600_000, size: 1_000 },
      algorithm: 'least-connections',
    })
    const { lookup, errback } = balancer
    const port = await listen(createServer({ lookup, errback, requests }))
    let answered = 0
    let left = 0
    const clients = Array.from({ length: 100 }, async () => {
      for (let turns = Math.floor(random() * 50); turns > 0; turns--) await turn()
      const client = await connect(port)
      client.write(request())
      const way = random()
      for (let turns = Math.floor(random() * 20); turns > 0; turns--) await turn()
      if (way < 0.1) client.reset()
      else if (way < 0.2) client.end()
      if (way < 0.2) {
        left++
        return client.closed().catch(() => undefined)
      }
      const answer = await client.ended()
      client.end()
      expect(answer).toMatch(/^HTTP\/1.1 200 /)
      answered++
    })
    for (let i = 0; i < 30; i++) {
      for (let turns = Math.floor(random() * 10); turns > 0; turns--) await turn()
      const id = String(Math.floor(random() * 2))
      balancer.drain(id)
      for (let turns = Math.floor(random() * 10); turns > 0; turns--) await turn()
      balancer.ready(id)
    }
    await Promise.all(clients)
    await until(() => balancer.queued === 0)
    await idle(balancer)
    expect(answered + left).toBe(100)
    for (const [i, { most }] of backends.entries()) expect(most).toBeLessThanOrEqual(limits[i]!)
    expect(balancer.backends.map(({ connections }) => connections)).toEqual([0, 0])
    // No place is still reserved.
    const places = Array.from({ length: 2 }, () => lookup({} as never, {} as never))
    expect(places.every((place) => place && !(place instanceof Promise))).toBe(true)
  })

  it.each(['end', 'reset'] as const)('a TLS client leaves by its %s', async (way) => {
    const backend = new Busy()
    const balancer = balancerOf({ backends: [{ port: await backend.listen(Math.random), weight: 0 }], queue: 600_000 })
    const { lookup, errback } = balancer
    const server: net.Server = tls.createServer(certificate(), handler({ lookup, errback, requests }))
    const client = await connectTls(await listen(server))
    client.write(request())
    await until(() => balancer.queued === 1)
    if (way === 'end') client.end()
    else client.socket.destroy()
    await until(() => balancer.queued === 0)
    expect(backend.served).toBe(0)
  })
})
