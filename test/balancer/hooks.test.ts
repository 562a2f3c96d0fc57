import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Route } from '../../src/balancer/index.ts'
import { createServer, type Dest } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { deadPort, listen } from '../helpers/net.ts'
import { startProxy } from '../helpers/proxy.ts'
import { ask, balancerOf, eventsOf, idle, Named, nameIn, request, statusOf } from './support.ts'

const POST = request('POST /pay HTTP/1.1', 'Content-Length: 4').concat('once')

describe("the user's own hooks", () => {
  it.each<[how: string, wrap: (balancer: ReturnType<typeof balancerOf>) => net.Server]>([
    ['createServer, straight', (balancer) => createServer(balancer.lookup, undefined, balancer.errback)],
    ['createServer, by its options', ({ lookup, errback }) => createServer({ lookup, errback })],
    ['createStickyServer, straight', ({ lookup, errback }) => createStickyServer(lookup, errback)],
    [
      'createServer, in functions that wait',
      (balancer) =>
        createServer({
          lookup: async (head, client) => {
            await new Promise((resolve) => setImmediate(resolve))
            return balancer.lookup(head, client)
          },
          errback: async (error, dest, head) => {
            await new Promise((resolve) => setImmediate(resolve))
            return balancer.errback(error, dest, head)
          },
        }),
    ],
    [
      'createStickyServer, with the Dest spread into another',
      (balancer) => {
        const mine = (route: Route | undefined) => route && { ...route, mine: true }
        return createStickyServer<Route & { mine: boolean }>(
          async (head, sticky, client) => mine(await balancer.lookup(head, sticky, client)),
          async (error, dest, head) => {
            expect(dest?.mine).toBe(true)
            const next = await balancer.errback(error, dest, head)
            return next && 'backend' in next ? mine(next) : next
          },
        )
      },
    ],
  ])('%s', async (_, wrap) => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'x' },
        { port: await deadPort(), id: 'y' },
        { port: alive.port, id: 'z' },
      ],
    })
    const events = eventsOf(balancer)
    const port = await listen(wrap(balancer))
    expect(nameIn(await ask(port, POST))).toBe('alive')
    await idle(balancer)
    expect(alive.requests).toEqual([{ line: 'POST /pay', body: 'once' }])
    expect(events).toEqual(['down x', 'down y'])
    expect(statusOf(balancer, 'z')).toMatchObject({ connections: 0, total: 1 })
    expect(statusOf(balancer, 'z').bytesRead).toBe(POST.length)
  })

  it('keep the counts correct with lookup alone', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'x' }] })
    const { port } = await startProxy(balancer.lookup)
    expect(await ask(port)).toMatch(/^HTTP\/1.1 502 /)
    expect(statusOf(balancer, 'x')).toMatchObject({ state: 'down', failures: 1, connections: 0 })
  })

  it('may send a client to another Dest', async () => {
    const mine = await Named.start('mine')
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'x' }] })
    const { port } = await startProxy<Dest>({
      lookup: balancer.lookup,
      errback: () => ({ port: mine.port, host: '127.0.0.1' }),
    })
    expect(nameIn(await ask(port, POST))).toBe('mine')
    expect(statusOf(balancer, 'x')).toMatchObject({ connections: 0, total: 0, bytesRead: 0, bytesWritten: 0 })
  })
})
