import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import net from 'node:net'
import { describe, expect, it, onTestFinished, test, vi } from 'vitest'
import type { Balancer, Route } from '../../src/balancer/index.ts'
import { type ConnectionEvents, createServer, handler, type Limits } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../helpers/net.ts'
import { startProxy, Watch } from '../helpers/proxy.ts'
import { ask, balancerOf, CLIENT, idle, lookUp, Named, request, requestHead, statusOf, until } from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

interface Scene {
  balancer: Balancer
  backend: Backend
  port: number
}

async function setUp(
  options: Limits & { tls?: boolean; maxConnections?: number; isSticky?: boolean } = {},
): Promise<Scene> {
  const { tls = false, maxConnections = 10, isSticky = false, ...limits } = options
  const backend = await Backend.start()
  const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a', tls, maxConnections }] })
  const { lookup, errback } = balancer
  const server = isSticky ? createStickyServer(lookup, errback, limits) : createServer({ lookup, errback, ...limits })
  return { balancer, backend, port: await listen(server) }
}

async function reach({ port, backend }: Scene): Promise<[client: Peer, upstream: Peer]> {
  const client = await connect(port)
  client.write(GET)
  const upstream = await backend.next()
  await upstream.until('\r\n\r\n')
  return [client, upstream]
}

test("with requests: 'every' it counts exchanges under way, each with its own bytes", async () => {
  const backends = [await Backend.start(), await Backend.start()]
  const balancer = balancerOf({
    backends: backends.map(({ port }, i) => ({ port, id: 'ab'[i]! })),
    algorithm: 'round-robin',
  })
  const port = await listen(createServer({ lookup: balancer.lookup, errback: balancer.errback, requests: 'every' }))
  const client = await connect(port)
  const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const peers: Peer[] = []
  for (const i of [0, 1, 0, 1]) {
    client.write(GET)
    peers[i] ??= await backends[i]!.next()
    const peer = peers[i]
    await peer.until('\r\n\r\n')
    peer.received = Buffer.alloc(0)
    expect(balancer.backends.map(({ connections }) => connections).sort()).toEqual([0, 1])
    peer.write(OK)
    await idle(balancer)
    await client.until('ok')
    client.received = Buffer.alloc(0)
  }
  for (const id of ['a', 'b']) {
    const bytes = { bytesRead: 2 * GET.length, bytesWritten: 2 * OK.length }
    expect(statusOf(balancer, id)).toMatchObject({ connections: 0, total: 2, ...bytes })
  }
  client.end()
  await client.ended()
})

describe('the count of a connection', () => {
  it('begins with routing and ends with the connection', async () => {
    const scene = await setUp()
    const { balancer } = scene
    const [client, upstream] = await reach(scene)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 1, total: 1 })
    client.end()
    await upstream.ended()
    expect(statusOf(balancer, 'a').connections).toBe(1)
    upstream.end()
    await idle(balancer)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 1, failures: 0 })
  })

  it.each<
    [how: string, options: Parameters<typeof setUp>[0], end: (client: Peer, upstream: Peer, balancer: Balancer) => void]
  >([
    ['the client resets', {}, (client) => client.reset()],
    ['the backend resets', {}, (_, upstream) => upstream.reset()],
    ['nobody says a word', { idleTimeout: 5_000 }, () => vi.advanceTimersByTime(5_000)],
    ['one side stays half open', { halfCloseTimeout: 20 }, (client) => client.end()],
    ['it is killed', {}, (_client, _upstream, balancer) => balancer.kill('a')],
    ['the response is refused', { isSticky: true }, (_, upstream) => upstream.write('no HTTP\r\n\r\n')],
    ['the response does not come', { isSticky: true }, (_, upstream) => upstream.end()],
    ['the response takes too long', { responseHeadTimeout: 5_000 }, () => vi.advanceTimersByTime(5_000)],
  ])('goes when %s', async (how, options, end) => {
    if (how !== 'one side stays half open') vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const scene = await setUp(options)
    const [client, upstream] = await reach(scene)
    expect(statusOf(scene.balancer, 'a').connections).toBe(1)
    // Subscribe first: the connection may end synchronously.
    const over = idle(scene.balancer)
    end(client, upstream, scene.balancer)
    await over
    expect(statusOf(scene.balancer, 'a')).toMatchObject({ connections: 0, total: 1, state: 'up' })
  })

  it('ends when the client leaves during the connect', async () => {
    const scene = await setUp({ tls: true })
    const client = await connect(scene.port)
    client.write(GET)
    await scene.backend.next()
    expect(statusOf(scene.balancer, 'a')).toMatchObject({ connections: 1, total: 0, bytesRead: 0 })
    client.reset()
    await idle(scene.balancer)
    expect(statusOf(scene.balancer, 'a')).toMatchObject({
      connections: 0,
      total: 0,
      failures: 0,
      state: 'up',
      bytesRead: 0,
    })
  })

  it('ends when it is killed during the connect', async () => {
    const scene = await setUp({ tls: true })
    const client = await connect(scene.port)
    client.write(GET)
    await scene.backend.next()
    expect(scene.balancer.kill('a')).toBe(1)
    await client.closed()
    expect(statusOf(scene.balancer, 'a')).toMatchObject({ connections: 0, state: 'up' })
  })

  it('does not begin if the client leaves while a hook waits', async () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }] })
    const watch = new Watch()
    let go: () => void = () => undefined
    const asked = new Promise<void>((isAsked) => {
      void startProxy({
        lookup: async (head, client) => {
          const route = lookUp(balancer, head, client)
          isAsked()
          await new Promise<void>((resolve) => {
            go = resolve
          })
          return route
        },
      }).then(async ({ port }) => {
        const client = await connect(port)
        client.write(GET)
        await asked
        client.reset()
      })
    })
    await watch.until('close')
    go()
    await new Promise((resolve) => setImmediate(resolve))
    expect(watch.all('routed')).toEqual([])
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 0 })
  })

  it('ends as soon as a connect fails, before the response', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'dead' }] })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const client = await connect(port)
    client.write(GET)
    await client.until('503')
    expect(statusOf(balancer, 'dead')).toMatchObject({ connections: 0, failures: 1, bytesRead: 0, bytesWritten: 0 })
  })

  it('ends as soon as a response is refused', async () => {
    const scene = await setUp({ isSticky: true, maxConnections: 1 })
    const [client, upstream] = await reach(scene)
    upstream.write('no HTTP\r\n\r\n')
    await client.until('502')
    expect(statusOf(scene.balancer, 'a').connections).toBe(0)
    await reach(scene)
    expect(statusOf(scene.balancer, 'a')).toMatchObject({ connections: 1, total: 2 })
  })

  it('does not begin if a routed listener destroys the connection', async () => {
    const before = ({ connection, dest }: ConnectionEvents['routed']) => {
      if ((dest as Partial<Route>).backend?.id === 'ended') connection.destroy()
    }
    // Subscribed before the balancer.
    subscribe('badass:connection:routed', before as (message: unknown) => void)
    onTestFinished(() => void unsubscribe('badass:connection:routed', before as (message: unknown) => void))
    const balancer = balancerOf({ backends: [{ port: 1, id: 'ended' }] })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const client = await connect(port)
    client.write(GET)
    await client.closed()
    expect(statusOf(balancer, 'ended')).toMatchObject({ connections: 0, total: 0 })
  })

  it('belongs to the backend it was routed to last', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b' },
      ],
    })
    const connection = { state: 'Connecting', bytesRead: 5, bytesWritten: 7 }
    const tell = (name: string, more: object) => channel(`badass:connection:${name}`).publish({ connection, ...more })
    const counts = () => balancer.backends.map(({ connections }) => connections)
    const head = requestHead()
    tell('routed', { head, dest: lookUp(balancer, head, CLIENT) })
    expect(counts()).toEqual([1, 0])
    tell('routed', { head, dest: lookUp(balancer, head, CLIENT) })
    expect(counts()).toEqual([0, 1])
    tell('routed', { head, dest: { port: 3 } })
    expect(counts()).toEqual([0, 0])
    tell('close', {})
    expect(balancer.backends).toMatchObject([
      { connections: 0, bytesRead: 0 },
      { connections: 0, bytesRead: 0 },
    ])
  })

  it('includes all proxy servers of the process', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }] })
    const port = await listen(net.createServer(handler({ lookup: balancer.lookup, errback: balancer.errback })))
    const [client] = await reach({ balancer, backend, port })
    expect(statusOf(balancer, 'a').connections).toBe(1)
    client.reset()
    await idle(balancer)
  })

  it('belongs to the balancer of the backend', async () => {
    const backend = await Backend.start()
    const options = { backends: [{ port: backend.port, id: 'a' }] }
    const [one, other] = [balancerOf(options), balancerOf(options)]
    const { port } = await startProxy({ lookup: one.lookup, errback: one.errback })
    await reach({ balancer: one, backend, port })
    expect(statusOf(one, 'a').connections).toBe(1)
    expect(statusOf(other, 'a')).toMatchObject({ connections: 0, total: 0 })
    expect(other.kill('a')).toBe(0)
    expect(one.kill('a')).toBe(1)
  })
})

describe('the bytes', () => {
  it('include open and closed connections that reached the backend', async () => {
    const scene = await setUp()
    const { balancer } = scene
    const [client, upstream] = await reach(scene)
    client.write('12345')
    await upstream.until('12345')
    upstream.write('abc')
    await client.until('abc')
    const bytes = { bytesRead: GET.length + 5, bytesWritten: 3 }
    expect(statusOf(balancer, 'a')).toMatchObject(bytes)
    client.reset()
    await idle(balancer)
    expect(statusOf(balancer, 'a')).toMatchObject(bytes)
    const [next] = await reach(scene)
    expect(statusOf(balancer, 'a')).toMatchObject({ ...bytes, bytesRead: 2 * GET.length + 5 })
    next.reset()
    await idle(balancer)
    expect(statusOf(balancer, 'a')).toMatchObject({ ...bytes, bytesRead: 2 * GET.length + 5, total: 2 })
  })

  it('count for the backend that was reached only', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'dead' },
        { port: alive.port, id: 'alive' },
      ],
    })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const text = request()
    const answer = await ask(port, text)
    await until(() => balancer.backends.every(({ connections }) => connections === 0))
    expect(balancer.backends).toMatchObject([
      { bytesRead: 0, bytesWritten: 0, total: 0 },
      { bytesRead: text.length, bytesWritten: answer.length, total: 1 },
    ])
  })
})
