import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import { behindProxy, type ClientInfo, type Dest, handler } from '../../src/index.ts'
import { refusesReset } from '../../src/proxy/client-info.ts'
import { EarlyResets } from '../helpers/early-reset.ts'
import { Backend, connect, listen, type Peer } from '../helpers/net.ts'
import { duplexPair } from '../helpers/pair.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { turn } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi'
const COUNT = 20

describe('a TCP client that resets before it is accepted', () => {
  const seen: ClientInfo[] = []
  const lookup = (_: unknown, client: ClientInfo): Dest | undefined => {
    seen.push(client)
    return undefined
  }

  test.each<[way: string, start: () => Promise<number>]>([
    ['a server', async () => (await startProxy({ lookup })).port],
    ['a handler', () => listen(net.createServer(handler({ lookup })))],
    ['a server that reads PROXY headers', async () => (await startProxy({ lookup, proxyProtocol: ['unix'] })).port],
  ])('is dropped before lookup by %s, and reported', async (_, start) => {
    seen.length = 0
    const watch = new Watch()
    const early = await EarlyResets.start(await start(), POST)
    early.begin(COUNT)
    early.wait()
    await watch.until('close', COUNT)
    expect(seen).toEqual([])
    expect(watch.codes).toEqual(Array(COUNT).fill('CLIENT_RESET'))
    expect(watch.names.filter((name) => name === 'routed')).toEqual([])
    for (const { connection } of watch.all('close')) {
      expect(connection.client).toMatchObject({ transport: 'tcp', remoteAddress: undefined, remotePort: undefined })
    }
  })

  test('is refused by behindProxy with CLIENT_RESET', async () => {
    const codes: string[] = []
    const refused = (_: net.Socket, { code }: { code: string }) => void codes.push(code)
    const front = behindProxy(net.createServer(handler({ lookup })), { proxyProtocol: ['unix'], refused })
    const early = await EarlyResets.start(await listen(net.createServer(front)), `PROXY UNKNOWN\r\n${POST}`)
    early.begin(COUNT)
    early.wait()
    while (codes.length < COUNT) await turn()
    expect(codes).toEqual(Array(COUNT).fill('CLIENT_RESET'))
  })

  test('is dropped before lookup over TLS too', async () => {
    seen.length = 0
    const watch = new Watch()
    const server = tls.createServer(certificate(), handler({ lookup }))
    // The client needs nothing more from the server, so it sends and leaves before its last part is read.
    server.once('keylog', () => setImmediate(() => early.wait()))
    const early = await EarlyResets.start(await listen(server), POST, certificate().cert)
    early.begin(1)
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_RESET'])
    expect(seen).toEqual([])
  })
})

describe('a client without an address', () => {
  /** The client that lookup gets from a server that listens at a path. */
  async function heardAt(create: (take: (socket: net.Socket) => void) => net.Server): Promise<ClientInfo> {
    const heard: ClientInfo[] = []
    const take = handler((_, client) => void heard.push(client))
    const path = join(temporaryDirectory(), 's')
    const server = create(take)
    await listen(server, { path })
    if (server instanceof tls.Server) (await connectTls(0, { path, servername: 'localhost' })).write(GET)
    else (await connect({ path })).write(GET)
    while (heard.length === 0) await turn()
    return heard[0]!
  }

  test('has transport unix if a net.Server or tls.Server listens at a path', async () => {
    const unix = { transport: 'unix', remoteAddress: undefined, remotePort: undefined, localPort: undefined }
    expect(await heardAt((take) => net.createServer(take))).toEqual({ ...unix, encrypted: false })
    expect(await heardAt((take) => tls.createServer(certificate(), take))).toEqual({ ...unix, encrypted: true })
  })

  test('has transport other if it is a user`s stream, with TLS too', async () => {
    for (const isTls of [false, true]) {
      const watch = new Watch()
      const [near, far] = duplexPair()
      const take = handler({ lookup: () => undefined, proxyProtocol: ['unix'], noDelay: false })
      if (isTls) {
        tls.createServer(certificate(), take).emit('connection', far)
        const client = tls.connect({ socket: near as net.Socket, ca: certificate().cert, servername: 'localhost' })
        client.on('error', () => undefined)
      } else {
        take(far as net.Socket)
      }
      const { connection } = await watch.until('close')
      expect(connection.client).toMatchObject({ transport: 'other', remoteAddress: undefined, encrypted: isTls })
      expect(watch.all('error')[0]!.error.message).toContain('a client without an address is not in proxyProtocol')
    }
  })

  test('Node resets TCP sockets, but not Unix sockets', async () => {
    const sockets: net.Socket[] = []
    const accept = (socket: net.Socket) => void sockets.push(socket.on('error', () => undefined))
    const path = join(temporaryDirectory(), 's')
    await listen(net.createServer(accept), { path })
    const port = await listen(net.createServer(accept))
    const unix = await connect({ path })
    const tcp = await connect(port)
    while (sockets.length < 2) await turn()
    expect(sockets.map(refusesReset)).toEqual([true, false])
    await tcp.closed()
    expect(tcp.error?.code).toBe('ECONNRESET')
    sockets[0]!.end(OK)
    expect(await unix.ended()).toBe(OK)
  })
})

test('gives an IPv4 client of a dual-stack listener an IPv4 address, in hooks and PROXY headers', async () => {
  const backend = await Backend.start()
  const seen: ClientInfo[] = []
  const lookup = (_: unknown, client: ClientInfo): Dest => {
    seen.push(client)
    return { port: backend.port, host, sendProxy: 1 }
  }
  const server = net.createServer(handler({ lookup }))
  const port = await listen(server, { port: 0, host: '::' })
  const client = await connect(port)
  client.end(GET)
  const peer: Peer = await backend.next()
  const { localPort } = client.socket
  expect(await peer.ended()).toBe(`PROXY TCP4 ${host} ${host} ${localPort} ${port}\r\n${GET}`)
  expect(seen).toEqual([
    { transport: 'tcp', remoteAddress: host, remotePort: localPort, localPort: port, encrypted: false },
  ])
})
