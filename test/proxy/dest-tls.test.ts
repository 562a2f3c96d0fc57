import { once } from 'node:events'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Dest } from '../../src/index.ts'
import { connect, deadPort, listen } from '../helpers/net.ts'
import { duplexPair } from '../helpers/pair.ts'
import { answer, ask, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'

expectNoWarnings()

const { cert: ca } = certificate()
const UNREACHED = answer('502 Bad Gateway', 'CONNECT_FAILED')

interface Backend {
  server: tls.Server
  port: number
  /** The bytes that each connection received. */
  requests: string[]
  /** The server names that clients requested. */
  names: (string | false)[]
}

/** A TLS backend that answers after the request has ended. */
async function start(on?: net.ListenOptions): Promise<Backend> {
  const requests: string[] = []
  const names: (string | false)[] = []
  const half: tls.TlsOptions & net.ServerOpts = { ...certificate(), allowHalfOpen: true }
  const server = tls.createServer(half, (socket) => {
    names.push((socket as { servername?: string | false }).servername ?? false)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => undefined)
    socket.on('end', () => {
      requests.push(text)
      socket.end(OK)
    })
  })
  server.on('tlsClientError', () => undefined)
  return { server, port: await listen(server, on), requests, names }
}

async function converse(dest: Dest, backend: Backend): Promise<void> {
  const before = backend.requests.length
  const { port } = await startProxy(() => dest)
  const client = await connect(port)
  client.end(GET)
  expect(await client.ended()).toBe(OK)
  expect(backend.requests.slice(before)).toEqual([GET])
}

async function refused(dest: Dest): Promise<Error> {
  const watch = new Watch()
  const { port } = await startProxy(() => dest)
  expect(withoutDate(await ask(port))).toBe(UNREACHED)
  expect(watch.names).not.toContain('connected')
  return watch.all('error')[0]!.error
}

function raise(error: Error): never {
  throw error
}

describe('a backend over TLS', () => {
  const host = '127.0.0.1'

  test('gets nothing if its certificate is not trusted; the client gets a 502', async () => {
    const backend = await start()
    const dests: Dest[] = [
      { port: backend.port, host, tls: true },
      { port: backend.port, host, tls: {} },
      { connect: () => net.connect(backend.port, host), tls: true },
    ]
    for (const dest of dests) {
      expect(await refused(dest)).toMatchObject({
        code: 'CONNECT_FAILED',
        phase: 'connect',
        cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
      })
    }
    expect(backend.requests.join('')).toBe('')
  })

  test('is reached by address and by name if its certificate matches', async () => {
    const backend = await start()
    await converse({ port: backend.port, host, tls: { ca } }, backend)
    await converse({ port: backend.port, host: 'localhost', tls: { ca } }, backend)
    await converse({ port: backend.port, tls: { ca } }, backend)
    // RFC 6066 3: a server name is not an address.
    expect(backend.names).toEqual([false, 'localhost', 'localhost'])
  })

  test('gets the server name of the options', async () => {
    const backend = await start()
    await converse({ port: backend.port, host, tls: { ca, servername: 'backend.test' } }, backend)
    expect(backend.names).toEqual(['backend.test'])
    const { cause } = await refused({ port: backend.port, host, tls: { ca, servername: 'other.test' } })
    expect(cause).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  test('is reached without a check with rejectUnauthorized: false', async () => {
    const backend = await start()
    await converse({ port: backend.port, host, tls: { rejectUnauthorized: false } }, backend)
  })

  test('is reached over a Unix socket', async () => {
    const path = `${temporaryDirectory()}/tls.sock`
    const backend = await start({ path })
    await converse({ path, tls: { ca, servername: 'backend.test' } }, backend)
    await converse({ path, tls: { ca } }, backend)
    expect(backend.names[0]).toBe('backend.test')
  })

  test('is reached over a user`s socket: connecting, connected or in memory', async () => {
    const backend = await start()
    const options = { ca, servername: 'backend.test' }
    await converse({ connect: () => net.connect(backend.port, host), tls: options }, backend)
    const socket = net.connect(backend.port, host)
    await once(socket, 'connect')
    await converse({ connect: () => socket, tls: options }, backend)
    const [near, far] = duplexPair()
    const inner = net.connect(backend.port, host)
    far.pipe(inner).pipe(far)
    await converse({ connect: () => near, tls: options }, backend)
    expect(backend.names).toEqual(['backend.test', 'backend.test', 'backend.test'])
  })

  test('is reached over a user`s TLS socket, during its handshake or after it', async () => {
    const backend = await start()
    const half: net.SocketConstructorOpts = { allowHalfOpen: true }
    const open = () => tls.connect({ port: backend.port, host, ca, ...half })
    await converse({ connect: open }, backend)
    const socket = open()
    await once(socket, 'secureConnect')
    await converse({ connect: () => socket }, backend)
    expect(await refused({ connect: () => tls.connect({ port: backend.port, host }) })).toMatchObject({
      cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    })
  })

  test('is reached over the socket in its options', async () => {
    const backend = await start()
    await converse(
      { port: 1, host, tls: { ca, servername: 'localhost', socket: net.connect(backend.port, host) } },
      backend,
    )
  })

  test('is reached if its first address refuses, however the socket is made', async () => {
    const backend = await start({ port: 0, host: '127.0.0.1' })
    const { port } = backend
    const lookup: net.LookupFunction = (_, __, done) =>
      done(
        null,
        [
          { address: '::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ] as never,
        6,
      )
    const name = 'backend.test'
    const dests: Dest[] = [
      { port, host: name, tls: { ca, lookup } },
      { port, host: name, tls: { ca, lookup, autoSelectFamily: true } as tls.ConnectionOptions },
      { port, host: 'other.test', tls: { ca, lookup, host: name, servername: name } },
      {
        connect: () => net.connect({ port, host: name, lookup, autoSelectFamily: true }),
        tls: { ca, servername: name },
      },
    ]
    for (const dest of dests) await converse(dest, backend)
  })

  test.each([
    ['throws', () => raise(Object.defineProperty(new Error(), 'message', { value: Symbol('odd') }))],
    ['returns an odd Error', () => Object.defineProperty(new Error(), 'message', { value: Symbol('odd') })],
  ])('causes a 502 if checkServerIdentity %s', async (_, checkServerIdentity) => {
    const backend = await start()
    expect(await refused({ port: backend.port, host: 'localhost', tls: { ca, checkServerIdentity } })).toMatchObject({
      code: 'CONNECT_FAILED',
    })
  })

  test('causes a 502 if it does not speak TLS', async () => {
    const port = await listen(
      net.createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    expect(await refused({ port, host, tls: { ca } })).toMatchObject({
      cause: { code: expect.stringMatching(/^ERR_SSL/) },
    })
  })

  test('causes a 502 if it closes during the handshake', async () => {
    const port = await listen(
      net.createServer((socket) =>
        socket
          .on('error', () => undefined)
          .resume()
          .end(),
      ),
    )
    expect(await refused({ port, host, tls: { ca } })).toMatchObject({ code: 'CONNECT_FAILED' })
  })

  test('causes a 504 if the handshake exceeds connectTimeout', async () => {
    const closed: Promise<unknown>[] = []
    const silent = net.createServer((socket) => {
      socket.resume().on('error', () => undefined)
      closed.push(new Promise((resolve) => socket.on('close', resolve)))
    })
    const backendPort = await listen(silent)
    for (const dest of [
      { port: backendPort, host, tls: { ca } },
      { connect: () => net.connect(backendPort, host), tls: { ca } },
    ]) {
      const { port } = await startProxy({ lookup: () => dest, connectTimeout: 30 })
      expect(withoutDate(await ask(port))).toBe(answer('504 Gateway Timeout', 'CONNECT_TIMEOUT'))
    }
    await Promise.all(closed)
    expect(closed).toHaveLength(2)
  })

  test('causes a 502 if tls.connect refuses the options, and the user`s stream is destroyed', async () => {
    const backend = await start()
    const wrong = { ca, minVersion: 'TLSv9' as tls.SecureVersion }
    expect(await refused({ port: backend.port, host, tls: wrong })).toMatchObject({
      cause: { code: 'ERR_TLS_INVALID_PROTOCOL_VERSION' },
    })
    let opened: Duplex | undefined
    const open = () => {
      opened = net.connect(backend.port, host)
      return opened
    }
    await refused({ connect: open, tls: wrong })
    expect(opened?.destroyed).toBe(true)
  })

  test('causes a 502 over a socket that is refused', async () => {
    const port = await deadPort()
    expect(await refused({ connect: () => net.connect(port, host), tls: { ca } })).toMatchObject({
      cause: { code: 'ECONNREFUSED' },
    })
  })

  test('is destroyed with its underlying stream when the client resets', async () => {
    const backend = await start()
    const watch = new Watch()
    const [near, far] = duplexPair()
    far.pipe(net.connect(backend.port, host)).pipe(far)
    onTestFinished(() => void far.destroy())
    const closed = once(near, 'close')
    const { port } = await startProxy(() => ({ connect: () => near, tls: { ca } }))
    const client = await connect(port)
    client.write(GET)
    await watch.until('connected')
    client.reset()
    await closed
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_RESET'])
  })

  test('gets a body of 1 MiB that came with the head, and its response passes modify', async () => {
    const backend = await start()
    const { port } = await startProxy({
      lookup: () => ({ port: backend.port, host, tls: { ca } }),
      modify: (head) => {
        head.headers.Via = '1.1 badass'
      },
    })
    const request = `${GET}${'x'.repeat(1 << 20)}`
    const client = await connect(port)
    client.end(request)
    expect(await client.ended()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 badass\r\n\r\nok')
    expect(backend.requests[0] === request).toBe(true)
  })
})
