import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { Dest, ProxyOptions } from '../../../src/index.ts'
import { TlsSessions } from '../../../src/proxy/tls-sessions.ts'
import { connect, listen } from '../../helpers/net.ts'
import { expectNoWarnings, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { certificate } from '../../helpers/tls.ts'
import { head, host } from './support.ts'

expectNoWarnings()

const { cert: ca } = certificate()

/** A TLS backend that answers each request, and tells for each connection whether it resumed a session. */
async function start(options: tls.TlsOptions = {}) {
  const resumed: boolean[] = []
  const server = tls.createServer({ ...certificate(), ...options }, (socket) => {
    resumed.push(socket.isSessionReused())
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write(OK))
  })
  server.on('tlsClientError', () => undefined)
  return { port: await listen(server), resumed }
}

/** Each request opens a connection of its own. */
const unpooled: Partial<ProxyOptions> = { requests: 'every', pool: { maxIdle: 0 } }

/** Sends a request as a new client. Returns its response. */
async function ask(port: number): Promise<string> {
  const client = await connect(port)
  client.write(head('Connection: close\r\n'))
  return client.ended()
}

describe('a fresh connection resumes the last TLS session of its destination', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('with %s', async (version) => {
    const { port, resumed } = await start({ maxVersion: version })
    // Another object each time, with the same options.
    const proxy = await startProxy({ ...unpooled, lookup: () => ({ port, host, tls: { ca } }) })
    for (let i = 0; i < 3; i++) expect(await ask(proxy.port)).toMatch(/ok$/)
    expect(resumed).toEqual([false, true, true])
  })

  test('behind a PROXY header, or a name', async () => {
    const { port, resumed } = await start()
    const front = net.createServer((socket) => {
      const back = net.connect(port, host)
      // Drops the header, which comes before TLS.
      socket.once('data', (bytes) => {
        back.write(bytes.subarray(bytes.indexOf('\r\n') + 2))
        socket.pipe(back).pipe(socket)
      })
      for (const end of [socket, back]) end.on('error', () => undefined)
    })
    const dests: Dest[] = [
      { port: await listen(front), host, tls: { ca }, sendProxy: 1 },
      { port, host: 'localhost', tls: { ca } },
    ]
    for (const dest of dests) {
      const proxy = await startProxy({ ...unpooled, lookup: () => dest })
      for (let i = 0; i < 2; i++) expect(await ask(proxy.port)).toMatch(/ok$/)
      expect(resumed.splice(0)).toEqual([false, true])
    }
  })
})

describe('a fresh connection resumes no TLS session', () => {
  test('of other options', async () => {
    const { port, resumed } = await start()
    const ways: tls.ConnectionOptions[] = [{ ca }, { rejectUnauthorized: false }, { ca, servername: 'backend.test' }]
    let tls = ways[0]!
    const proxy = await startProxy({ ...unpooled, lookup: () => ({ port, host, tls }) })
    for (tls of ways) expect(await ask(proxy.port)).toMatch(/ok$/)
    expect(resumed).toEqual([false, false, false])
  })

  test("with requests: 'first'", async () => {
    const { port, resumed } = await start()
    const proxy = await startProxy(() => ({ port, host, tls: { ca } }))
    for (let i = 0; i < 2; i++) {
      const client = await connect(proxy.port)
      client.write(head())
      await client.until('ok')
    }
    expect(resumed).toEqual([false, false])
  })

  test('after a handshake failed', async () => {
    const { port, resumed } = await start()
    let isBroken = false
    const front = net.createServer((socket) => {
      socket.on('error', () => undefined)
      if (isBroken) return void socket.destroy()
      const back = net.connect(port, host).on('error', () => undefined)
      socket.pipe(back).pipe(socket)
    })
    const dest = { port: await listen(front), host, tls: { ca } }
    const watch = new Watch()
    const proxy = await startProxy({ ...unpooled, lookup: () => dest })
    await ask(proxy.port)
    isBroken = true
    expect(await ask(proxy.port)).toContain('HTTP/1.1 502 ')
    isBroken = false
    await ask(proxy.port)
    await ask(proxy.port)
    expect(resumed).toEqual([false, false, true])
    expect(watch.codes).toEqual(['CONNECT_FAILED'])
  })

  test("that is not the Dest's own", async () => {
    const { port, resumed } = await start({ maxVersion: 'TLSv1.2' })
    const own = tls.connect({ port, host, ca })
    const [session] = (await once(own, 'session')) as [Buffer]
    own.destroy()
    const proxy = await startProxy({ ...unpooled, lookup: () => ({ port, host, tls: { ca, session } }) })
    await ask(proxy.port)
    expect(resumed).toEqual([false, true])
  })
})

test('keeps the 256 sessions that were used last', () => {
  const sessions = new TlsSessions()
  const session = Buffer.alloc(1)
  for (let i = 0; i < 256; i++) sessions.put(`${i}`, session)
  expect(sessions.get('0')).toBe(session)
  sessions.put('256', session)
  expect([sessions.get('0'), sessions.get('1'), sessions.get('2')]).toEqual([session, undefined, session])
  sessions.delete('2')
  expect(sessions.get('2')).toBeUndefined()
})
