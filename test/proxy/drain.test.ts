import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createServer, handler } from '../../src/index.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

async function meet() {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port, server } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  return { watch, backend, port, server, client, peer }
}

/** Whether a promise has settled. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(
    () => (settled = true),
    () => (settled = true),
  )
  await turns(5)
  return settled
}

describe('drain', () => {
  test('resolves at once if nothing is open', async () => {
    const { server, port } = await startProxy(() => undefined)
    await server.drain()
    expect(server.listening).toBe(false)
    await expect(connect(port)).rejects.toThrow(/ECONNREFUSED/)
  })

  test('refuses new connections, and resolves when the open ones have finished', async () => {
    const { server, port, client, peer } = await meet()
    const drained = server.drain()
    await expect(connect(port)).rejects.toThrow(/ECONNREFUSED/)
    client.write('more')
    await peer.until('more')
    expect(await isSettled(drained)).toBe(false)
    peer.end(OK)
    client.end()
    expect(await client.ended()).toBe(OK)
    await drained
    expect(server.active.size).toBe(0)
    expect(server.counters.open).toBe(0)
  })

  test('does not wait for a client that has sent nothing', async () => {
    const watch = new Watch()
    const { server, port } = await startProxy({ lookup: () => undefined, headTimeout: 0 })
    const silent = await connect(port)
    const begun = await connect(port)
    begun.write('GET / HT')
    await watch.until('open', 2)
    while (server.counters.bytesRead < 8) await turn()
    const drained = server.drain()
    await silent.closed()
    expect(silent.text).toBe('')
    expect(await isSettled(drained)).toBe(false)
    begun.write('TP/1.1\r\nHost: a\r\n\r\n')
    expect(await begun.ended()).toMatch(/^HTTP\/1\.1 503 /)
    begun.end()
    await drained
  })

  test('resets open connections after its ms', async () => {
    const { server, client, peer, watch } = await meet()
    await server.drain(20)
    expect(server.active.size).toBe(0)
    await Promise.all([client.closed(), peer.closed()])
    expect([client.error?.code, peer.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
    expect(watch.names).toEqual(['open', 'routed', 'connected', 'error', 'end', 'close'])
    expect(watch.codes).toEqual(['DESTROYED'])
  })

  test('with 0 ms resets at once in any state', async () => {
    const watch = new Watch()
    const { port, server } = await startProxy(() => new Promise<undefined>(() => undefined))
    const clients = [await connect(port), await connect(port), await connect(port)]
    clients[0]!.write(GET)
    clients[1]!.write('GET')
    await watch.until('open', 3)
    await server.drain(0)
    await Promise.all(clients.map((client) => client.closed()))
    expect(watch.all('close')).toHaveLength(3)
  })

  test('resets a connection that was handed over', async () => {
    const watch = new Watch()
    const inner = net.createServer((socket) => void socket.resume().on('error', () => undefined))
    const { port, server } = await startProxy(() => ({ server: inner }))
    const client = await connect(port)
    client.write(GET)
    await watch.until('connected')
    await server.drain(10)
    await client.closed()
    expect(client.error?.code).toBe('ECONNRESET')
  })

  test('can be called twice, and again later', async () => {
    const { server, client } = await meet()
    const first = server.drain()
    const second = server.drain(20)
    await Promise.all([first, second])
    await client.closed()
    await server.drain(0)
    await server.drain()
  })

  test('works on a server that does not listen', async () => {
    const backend = await Backend.start()
    const server = createServer(() => ({ port: backend.port, host }))
    const front = net.createServer({ allowHalfOpen: true }, (socket) => void server.emit('connection', socket))
    const port = await listen(front)
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    expect(server.active.size).toBe(1)
    const drained = server.drain()
    expect(await isSettled(drained)).toBe(false)
    const late = net.connect(port, host)
    const [cause] = await once(late, 'error')
    expect(cause).toMatchObject({ code: 'ECONNRESET' })
    peer.end(OK)
    client.end()
    expect(await client.ended()).toBe(OK)
    await drained
    expect(server.counters).toMatchObject({ accepted: 1, open: 0 })
  })

  test('ignores errors of the sockets that it refuses', async () => {
    const { server, client } = await meet()
    const drained = server.drain()
    const broken = new net.Socket()
    broken.destroy(new Error('at once'))
    server.emit('connection', broken)
    await new Promise((resolve) => broken.on('close', resolve))
    client.reset()
    await drained
  })

  test('lets the server listen again', async () => {
    const { server, backend, client } = await meet()
    client.reset()
    await server.drain()
    const again = await connect(await listen(server))
    again.write(GET)
    await (await backend.next()).until('\r\n\r\n')
  })

  test('leaves no timer', async () => {
    const { server, client } = await meet()
    client.reset()
    for (const ms of [60_000, 2 ** 31, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) await server.drain(ms)
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThan(4)
  })

  for (const wrong of [-1, Number.NaN, '5', null, {}]) {
    test(`refuses ${String(wrong)}`, async () => {
      const { server, port } = await startProxy(() => undefined)
      await expect(server.drain(wrong as number)).rejects.toThrow(
        new TypeError(`drain: expected milliseconds (0 or more), got ${wrong}`),
      )
      const client = await connect(port)
      client.end()
      await client.ended()
    })
  }
})

describe('close', () => {
  test('lets open connections continue', async () => {
    const { server, port, client, peer } = await meet()
    const closed = once(server, 'close')
    server.close()
    await expect(connect(port)).rejects.toThrow(/ECONNREFUSED/)
    peer.end(OK)
    client.end()
    expect(await client.ended()).toBe(OK)
    await closed
  })
})

test('handler has its own connections, on any server', async () => {
  const backend = await Backend.start()
  const proxied = handler(() => ({ port: backend.port, host }))
  const port = await listen(net.createServer(proxied))
  const client = await connect(port)
  onTestFinished(() => void client.socket.destroy())
  client.end(GET)
  const peer = await backend.next()
  // That server does not set allowHalfOpen.
  expect(await peer.ended()).toBe(GET)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
})
