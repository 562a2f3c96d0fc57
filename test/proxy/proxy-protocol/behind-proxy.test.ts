import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type BehindProxyOptions,
  behindProxy,
  type ClientInfo,
  createServer,
  handler,
  type ProxyError,
} from '../../../src/index.ts'
import { Backend, connect, listen, Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { block, LINE } from '../../helpers/proxy-header.ts'
import { certificate } from '../../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
const half: net.SocketConstructorOpts = { allowHalfOpen: true }

interface Setup {
  port: number
  clients: ClientInfo[]
  /** The targets of their requests. */
  targets: string[]
  refused: ProxyError[]
  backend: Backend
}

/** A handler in a tls.Server behind a net.Server that accepts PROXY headers from loopback. */
async function start(options: Partial<BehindProxyOptions> = {}, more: tls.TlsOptions = {}): Promise<Setup> {
  const backend = await Backend.start()
  const clients: ClientInfo[] = []
  const targets: string[] = []
  const refused: ProxyError[] = []
  const proxied = handler((head, client) => {
    targets.push(head.target)
    clients.push(client)
    return { port: backend.port, host }
  })
  const secure = tls.createServer({ ...certificate(), ...more }, proxied)
  const listener = behindProxy(secure, {
    proxyProtocol: [host],
    refused: (_, error) => void refused.push(error),
    ...options,
  })
  return { port: await listen(net.createServer(half, listener)), clients, targets, refused, backend }
}

/** Connects, sends the header and starts TLS, in one packet if `isCorked`. */
async function connectAfter(header: Buffer | string, port: number, options: tls.ConnectionOptions = {}) {
  const raw = (await connect(port)).socket
  raw.removeAllListeners('data')
  raw.write(header)
  const socket = tls.connect({ socket: raw, ca: certificate().cert, servername: 'localhost', ...half, ...options })
  onTestFinished(() => void socket.destroy())
  return socket
}

async function converse({ backend }: Setup, socket: tls.TLSSocket): Promise<void> {
  await once(socket, 'secureConnect')
  const client = new Peer(socket)
  client.end(GET)
  const peer = await backend.next()
  expect(await peer.ended()).toBe(GET)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
}

describe('a handler behind TLS', () => {
  test.each([
    ['version 1', LINE],
    ['version 2', block()],
  ])('gets the client that the header names: %s', async (_, header) => {
    const setup = await start()
    await converse(setup, await connectAfter(header, setup.port))
    const [client] = setup.clients
    expect(client).toEqual({
      transport: 'tcp',
      remoteAddress: '192.0.2.1',
      remotePort: 5000,
      localPort: setup.port,
      encrypted: true,
    })
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('gets the client of each resumed session with %s', async (maxVersion) => {
    const setup = await start({}, { maxVersion, SNICallback: (_, done) => setImmediate(done, null, undefined) })
    let session: Buffer | undefined
    const resumed: boolean[] = []
    for (let i = 1; i <= 3; i++) {
      const socket = await connectAfter(LINE.replace('192.0.2.1', `192.0.2.${i}`), setup.port, { session })
      socket.on('session', (one) => {
        session = one
      })
      socket.on('secureConnect', () => resumed.push(socket.isSessionReused()))
      await converse(setup, socket)
    }
    expect(resumed).toEqual([false, true, true])
    expect(setup.clients.map(({ remoteAddress }) => remoteAddress)).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
  })

  test('gets the right client for each of many parallel handshakes', async () => {
    const setup = await start()
    const sockets = await Promise.all(
      Array.from({ length: 20 }, (_, i) => connectAfter(LINE.replace('192.0.2.1', `192.0.2.${i}`), setup.port)),
    )
    await Promise.all(sockets.map((socket) => once(socket, 'secureConnect')))
    for (const [i, socket] of sockets.entries()) socket.end(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`)
    for (const _ of sockets) await setup.backend.next()
    const addresses = setup.clients.map(({ remoteAddress }) => remoteAddress)
    expect(addresses).toEqual(setup.targets.map((target) => `192.0.2.${target.slice(1)}`))
    expect(new Set(addresses).size).toBe(20)
  })

  test('gets the peer for a LOCAL header', async () => {
    const setup = await start()
    await converse(setup, await connectAfter(block({ command: 0x20 }), setup.port))
    expect(setup.clients).toMatchObject([{ remoteAddress: host, encrypted: true }])
  })

  test('reads a header byte by byte, and a handshake in pieces', async () => {
    const setup = await start()
    const front = net.createServer(half, (socket) => {
      const onward = net.connect({ port: setup.port, host, ...half, noDelay: true })
      onTestFinished(() => void onward.destroy())
      socket.on('data', (chunk: Buffer) => {
        for (const byte of chunk) onward.write(Buffer.from([byte]))
      })
      socket.on('end', () => onward.end())
      onward.pipe(socket)
    })
    await converse(setup, await connectAfter(LINE, await listen(front)))
    expect(setup.clients).toMatchObject([{ remoteAddress: '192.0.2.1' }])
  })
})

describe('behindProxy resets before TLS', () => {
  async function reset(client: Peer): Promise<void> {
    await client.closed()
    expect(client.text).toBe('')
  }

  test('an invalid header', async () => {
    const { port, refused } = await start()
    await expect(once(await connectAfter('', port), 'secureConnect')).rejects.toThrow()
    expect(refused).toMatchObject([
      { code: 'BAD_PROXY_HEADER', phase: 'head', cause: { code: 'NOT_PROXY', offset: 0 } },
    ])
  })

  test('a header that is cut short', async () => {
    const { port, refused } = await start()
    const client = await connect(port)
    client.end('PROXY T')
    await reset(client)
    expect(refused).toMatchObject([{ code: 'BAD_PROXY_HEADER', cause: { code: 'HEADER_INCOMPLETE', offset: 7 } }])
  })

  test('a late header', async () => {
    const { port, refused } = await start({ headTimeout: 30 })
    const client = await connect(port)
    client.write('PROXY T')
    await reset(client)
    expect(refused).toMatchObject([{ code: 'PROXY_HEADER_TIMEOUT' }])
  })

  test('an untrusted peer', async () => {
    const { port, refused } = await start({ proxyProtocol: ['10.0.0.0/8'] })
    const socket = net.connect(port, host)
    const client = new Peer(socket)
    client.write(LINE)
    await reset(client)
    expect(refused).toMatchObject([{ code: 'UNTRUSTED_PROXY' }])
  })

  test('but reports nothing for a peer that leaves without a byte', async () => {
    const { port, refused } = await start()
    const client = await connect(port)
    client.end()
    expect(await client.ended()).toBe('')
    expect(refused).toEqual([])
  })

  test('without a refused callback too', async () => {
    const { port } = await start({ refused: undefined })
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\n\r\n')
    await reset(client)
  })
})

test('behindProxy works for a server without TLS', async () => {
  const backend = await Backend.start()
  const clients: ClientInfo[] = []
  const server = createServer((_, client) => {
    clients.push(client)
    return { port: backend.port, host }
  })
  const port = await listen(net.createServer(half, behindProxy(server, { proxyProtocol: [host] })))
  const client = await connect(port)
  client.end(LINE + GET)
  expect(await (await backend.next()).ended()).toBe(GET)
  expect(clients).toMatchObject([{ remoteAddress: '192.0.2.1', remotePort: 5000 }])
  const check = await connect(port)
  check.end(LINE)
  expect(await check.ended()).toBe('')
  expect(server.counters.badHeads).toBe(0)
})

test.each([
  [{}, 'proxyProtocol: expected a list of one or more, each an address'],
  [{ proxyProtocol: ['x'] }, 'proxyProtocol: expected a list of one or more, each an address'],
  [
    { proxyProtocol: [host], headTimeout: -1 },
    'headTimeout: expected milliseconds (an integer from 0 to 2147483647; 0 for none), got -1',
  ],
  [{ proxyProtocol: [host], refused: 1 }, 'refused: expected a function, got 1'],
  [
    { proxyProtocol: [host], maxFields: 1 },
    'maxFields: unknown option (expected one of proxyProtocol, headTimeout, refused)',
  ],
])('behindProxy throws on %j', (options, message) => {
  expect(() => behindProxy(net.createServer(), options as unknown as BehindProxyOptions)).toThrow(message)
})
