import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Dest } from '../../src/index.ts'
import { readDest } from '../../src/proxy/dest.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { answer, ask, converse, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

expectNoWarnings()

/** Sends one request through a proxy to that Dest, and returns the answer. */
async function converseBy(dest: Dest, backend: Backend): Promise<void> {
  const { port } = await startProxy(() => dest)
  await converse(port, backend)
}

const start = async (on: net.ListenOptions) => {
  const backend = new Backend()
  backend.port = await listen(backend.server, on)
  return backend
}

describe('a Dest with a port', () => {
  test('reaches an IPv4 address', async () => {
    const backend = await Backend.start()
    await converseBy({ port: backend.port, host: '127.0.0.1' }, backend)
  })

  test('reaches an IPv6 address', async () => {
    const backend = await start({ port: 0, host: '::1' })
    await converseBy({ port: backend.port, host: '::1' }, backend)
  })

  test('reaches a host by name, on any of its addresses', async () => {
    for (const { address } of await lookup('localhost', { all: true })) {
      const backend = await start({ port: 0, host: address })
      await converseBy({ port: backend.port, host: 'localhost' }, backend)
    }
  })

  test('means localhost by default', async () => {
    const backend = await Backend.start()
    await converseBy({ port: backend.port }, backend)
    await converseBy({ port: backend.port, host: undefined }, backend)
  })

  test('causes a 502 if it refuses the connection', async () => {
    const watch = new Watch()
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      const dead = await deadPort(host)
      const { port } = await startProxy(() => ({ port: dead, host }))
      expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
    }
    for (const { error } of watch.all('error')) {
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', phase: 'connect', status: 502 })
      expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
      expect(error.message).toMatch(/ECONNREFUSED/)
    }
    expect(watch.codes).toHaveLength(3)
  })

  test('causes a 502 if the host does not exist', async () => {
    const watch = new Watch()
    const { port } = await startProxy(() => ({ port: 80, host: 'no-such-host.invalid' }))
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
    expect(watch.all('error')[0]?.error.cause).toMatchObject({ syscall: 'getaddrinfo' })
  })
})

describe('a Dest with a path', () => {
  test('reaches a Unix socket', async () => {
    const path = `${temporaryDirectory()}/backend.sock`
    await converseBy({ path }, await start({ path }))
  })

  test('causes a 502 if it does not exist', async () => {
    const watch = new Watch()
    const { port } = await startProxy(() => ({ path: '/no/such/socket' }))
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
    expect(watch.all('error')[0]?.error.cause).toMatchObject({ code: 'ENOENT' })
  })

  test('is reached from a proxy that listens on a Unix socket', async () => {
    const backend = await Backend.start()
    const path = `${temporaryDirectory()}/proxy.sock`
    const { server } = await startProxy(() => ({ port: backend.port, host: '127.0.0.1' }))
    server.close()
    await listen(server, { path })
    const client = await connect({ path })
    client.end(GET)
    const peer = await backend.next()
    expect(await peer.ended()).toBe(GET)
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
  })
})

describe('the form of a Dest', () => {
  const server = net.createServer()
  const open = () => new net.Socket()

  test('is decided by the property with the right type; others belong to the user', async () => {
    const backend = await Backend.start()
    const { port } = backend
    for (const extra of [
      { server: 'blue' },
      { server: undefined },
      { path: undefined },
      { path: '' },
      { path: 7 },
      { connect: undefined },
      { connect: 'at once' },
      { tls: false },
      { tls: undefined },
    ]) {
      await converseBy({ port, host: '127.0.0.1', ...extra } as Dest, backend)
    }
  })

  test('prefers connect, then server, then path, then port', () => {
    expect(readDest({ server, path: '/x', port: 1 })?.kind).toBe('server')
    expect(readDest({ connect: open, server })?.kind).toBe('connect')
    expect(readDest({ server: {}, path: '/x', port: 1 })?.kind).toBe('path')
  })

  test('uses the path of a Dest with a path and a port', async () => {
    const path = `${temporaryDirectory()}/backend.sock`
    const backend = await start({ path })
    await converseBy({ path, port: await deadPort() }, backend)
  })

  for (const right of [
    { port: 1 },
    { port: 65_535 },
    { path: '/x' },
    { path: '\0abstract' },
    { server },
    { connect: open },
  ]) {
    test(`accepts ${Object.keys(right)} ${String(Object.values(right)[0])}`, () => {
      for (const dest of [right, Object.assign(Object.create(null), right), Object.create(right)]) {
        expect(readDest(dest)).toMatchObject({ kind: Object.keys(right)[0] })
      }
    })
  }

  for (const wrong of [
    undefined,
    null,
    true,
    8080,
    'localhost:8080',
    Symbol('port'),
    open,
    [],
    [8080],
    {},
    { host: 'localhost' },
    { port: 0 },
    { port: 65_536 },
    { port: -1 },
    { port: 80.5 },
    { port: '80' },
    { port: Number.NaN },
    { path: '' },
    { path: 80 },
    { server: {} },
    { server: null },
    { connect: {} },
    { tls: true },
  ]) {
    const shown = typeof wrong === 'symbol' ? 'a symbol' : JSON.stringify(wrong)
    test(`refuses ${shown ?? typeof wrong}`, () => {
      expect(readDest(wrong)).toBeUndefined()
    })
  }
})
