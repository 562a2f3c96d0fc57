import { channel } from 'node:diagnostics_channel'
import net from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Connection, type Dest, type ProxyOptions, proxyErrorCodes } from '../../src/index.ts'
import { addUp } from '../../src/proxy/index.ts'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import { ask, expectNoWarnings, GET, OK, stalled, startProxy, Watch } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

describe('the events of a connection', () => {
  test('come once each, in order, with the documented values', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const dest = { port: backend.port, host }
    const { port, server } = await startProxy(() => dest)
    const client = await connect(port)
    const { connection } = await watch.until('open')
    expect([...server.active]).toEqual([connection])
    expect(connection).toMatchObject({ state: 'AwaitingHead', dest: undefined, bytesRead: 0, bytesWritten: 0 })
    const { localPort: remotePort } = client.socket
    const info = { transport: 'tcp', remoteAddress: host, remotePort, localPort: port, encrypted: false }
    expect(connection.client).toEqual(info)
    client.end(GET)
    const routed = await watch.until('routed')
    expect(routed).toMatchObject({ connection, dest, head: { target: '/' } })
    const connected = await watch.until('connected')
    expect(connected).toEqual({ connection, dest })
    ;(await backend.next()).end(OK)
    await client.ended()
    const close = await watch.until('close')
    expect(close).toEqual({ connection })
    expect(connection).toMatchObject({ state: 'Closed', dest, bytesRead: GET.length, bytesWritten: OK.length })
    expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
    expect(watch.seen.every(({ message }) => message.connection === connection)).toBe(true)
  })

  test('include an error with its Dest before the next Dest is routed', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const [dead, alive]: Dest[] = [
      { port: await deadPort(), host },
      { port: backend.port, host },
    ]
    const { port } = await startProxy<Dest>({ lookup: () => dead!, errback: () => alive! })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.reset()
    await watch.until('close')
    expect(watch.names).toEqual(['open', 'routed', 'error', 'routed', 'connected', 'error', 'end', 'close'])
    expect(watch.all('error').map(({ error, dest }) => [error.code, dest])).toEqual([
      ['CONNECT_FAILED', dead],
      ['BACKEND_RESET', alive],
    ])
  })

  test('count bytes as they pass', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const { port, server } = await startProxy(() => ({ port: backend.port, host }))
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    const { connection } = watch.all('open')[0]!
    peer.write(OK)
    await client.until('ok')
    expect(connection).toMatchObject({ bytesRead: GET.length, bytesWritten: OK.length })
    expect(server.counters).toMatchObject({ bytesRead: GET.length, bytesWritten: OK.length, open: 1 })
    client.write('12345')
    await peer.until('12345')
    expect(connection.bytesRead).toBe(GET.length + 5)
    client.reset()
    await watch.until('close')
    expect(connection).toMatchObject({ bytesRead: GET.length + 5, bytesWritten: OK.length })
  })

  const MOMENTS = ['open', 'routed', 'connecting', 'connected', 'error', 'close'] as const
  const SETUPS: [name: string, options: (port: number) => Promise<ProxyOptions>, request: string][] = [
    ['a Dest', async (port) => ({ lookup: () => ({ port, host }) }), GET],
    ['a Dest and modify', async (port) => ({ lookup: () => ({ port, host }), modify: () => undefined }), GET],
    ['a dead Dest', async () => ({ lookup: () => stalledNow() }), GET],
    ['a dead Dest and errback', async () => ({ lookup: () => stalledNow(), errback: () => 'junk' as never }), GET],
    ['no Dest', async () => ({ lookup: () => undefined }), GET],
    ['a bad head', async () => ({ lookup: () => undefined }), 'x\r\n\r\n'],
  ]
  const stalledNow = (): Dest => ({
    connect() {
      throw new Error('no')
    },
  })
  for (const moment of MOMENTS) {
    for (const [name, options, request] of SETUPS) {
      test(`allow a listener of '${moment}' to destroy the connection: ${name}`, async () => {
        const watch = new Watch()
        const destroy = (message: unknown) => (message as { connection: Connection }).connection.destroy()
        channel(`badass:connection:${moment}`).subscribe(destroy)
        onTestFinished(() => void channel(`badass:connection:${moment}`).unsubscribe(destroy))
        const backend = await Backend.start()
        const { port, server } = await startProxy(await options(backend.port))
        void backend.next().then((peer) => peer.end(OK))
        const client = net.connect(port, host).on('error', () => undefined)
        client.resume().end(request)
        await new Promise((resolve) => client.on('close', resolve))
        await turns(5)
        expect(watch.all('close')).toHaveLength(1)
        expect(server.active.size).toBe(0)
      })
    }
  }
})

test('a hook may destroy its connection', async () => {
  for (const hook of ['lookup', 'modify', 'errback'] as const) {
    for (const late of [false, true]) {
      const watch = new Watch()
      const backend = await Backend.start()
      const dest: Dest = hook === 'errback' ? { connect: () => stalled().destroy() } : { port: backend.port, host }
      const act = (): Promise<void> | undefined => {
        const destroy = () => {
          for (const connection of server.active) connection.destroy()
        }
        return late ? turn().then(destroy) : void destroy()
      }
      const { server, port } = await startProxy<Dest>({
        lookup: () => (hook === 'lookup' ? (act()?.then(() => dest) ?? dest) : dest),
        modify: () => (hook === 'modify' ? act() : undefined),
        errback: () => (hook === 'errback' ? act() : undefined),
      })
      void backend.next().then((peer) => peer.write(OK))
      await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
      await watch.until('close')
      await turn()
      expect(watch.all('close')).toHaveLength(1)
    }
  }
})

test('a Dest may destroy its connection', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  let opened: net.Socket | undefined
  const { server, port } = await startProxy(() => ({
    connect() {
      for (const connection of server.active) connection.destroy()
      opened = net.connect(backend.port, host)
      return opened
    },
  }))
  await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
  expect(watch.names).toEqual(['open', 'routed', 'error', 'end', 'close'])
  expect(watch.codes).toEqual(['DESTROYED'])
  expect(opened?.destroyed).toBe(true)
})

describe('counters', () => {
  test('start at 0, and are a copy', async () => {
    const { server } = await startProxy(() => undefined)
    const { counters } = server
    const { outcomes, ...counts } = counters
    const zero = {
      accepted: 0,
      open: 0,
      connected: 0,
      requests: 0,
      reuses: 0,
      retries: 0,
      badHeads: 0,
      connectFailures: 0,
      bytesRead: 0,
      bytesWritten: 0,
    }
    expect(counts).toEqual(zero)
    expect(new Set(Object.keys(outcomes))).toEqual(new Set(['ok', 'silent', ...Object.keys(proxyErrorCodes)]))
    Object.assign(counters, { accepted: 7 })
    Object.assign(outcomes, { ok: 7 })
    expect(server.counters).toMatchObject({ ...zero, outcomes: { ok: 0 } })
  })

  test('add up over connections, open and closed', async () => {
    const backend = await Backend.start()
    const dead = await deadPort()
    const { port, server } = await startProxy((head) => ({ port: head.target === '/dead' ? dead : backend.port, host }))
    const bad = (await ask(port, 'bad\r\n\r\n')).length
    const unreached = (await ask(port, 'GET /dead HTTP/1.1\r\nHost: a\r\n\r\n')).length
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(OK)
    await client.until('ok')
    expect(server.counters).toMatchObject({
      accepted: 3,
      connected: 1,
      badHeads: 1,
      connectFailures: 1,
      bytesRead: 'bad\r\n\r\n'.length + 'GET /dead HTTP/1.1\r\nHost: a\r\n\r\n'.length + GET.length,
      bytesWritten: bad + unreached + OK.length,
    })
  })

  test('count the outcome of each connection', async () => {
    const backend = await Backend.start()
    const dead = await deadPort()
    const ports: Record<string, number> = { '/dead': dead, '/moved': dead, '/ok': backend.port }
    const { port, server } = await startProxy<Dest>({
      lookup: (head) => (head.target === '/none' ? undefined : { port: ports[head.target]!, host }),
      errback: (_, dest, head) => {
        if (dest && head.target === '/moved') return { port: backend.port, host }
        return Readable.from(['HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n'])
      },
    })
    const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`
    for (const [request, status] of [
      ...['/none', '/none', '/dead'].map((one) => [get(one), 503]),
      ['bad\r\n\r\n', 400],
    ]) {
      const client = await connect(port)
      client.end(String(request))
      expect(await client.ended()).toContain(`HTTP/1.1 ${status} `)
    }
    for (const target of ['/ok', '/moved']) {
      const client = await connect(port)
      client.write(get(target))
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      peer.end(OK)
      await client.ended()
      client.end()
    }
    const silent = await connect(port)
    silent.end()
    await silent.ended()
    await expect.poll(() => server.counters.open).toBe(0)
    const seen = Object.entries(server.counters.outcomes).filter(([, count]) => count > 0)
    expect(Object.fromEntries(seen)).toEqual({ ok: 2, silent: 1, NO_DESTINATION: 2, CONNECT_FAILED: 1, BAD_HEAD: 1 })
    expect(server.counters.accepted).toBe(7)
    const sum = addUp([server.counters, server.counters])
    expect(sum).toMatchObject({ accepted: 14, outcomes: { ok: 4, NO_DESTINATION: 4, HEAD_TIMEOUT: 0 } })
  })

  test('each server has its own', async () => {
    const one = await startProxy(() => undefined)
    const two = await startProxy(() => undefined)
    await ask(one.port)
    expect([one.server.counters.accepted, two.server.counters.accepted]).toEqual([1, 0])
  })
})
