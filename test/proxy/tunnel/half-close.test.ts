import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Dest, handler } from '../../../src/index.ts'
import { Flood } from '../../helpers/flood.ts'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { duplexPair } from '../../helpers/pair.ts'
import { deferred } from '../../helpers/promises.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { certificate } from '../../helpers/tls.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { SETUPS } from '../setups.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20

for (const [name, options] of SETUPS) {
  describe(`a side that ends, with ${name}`, () => {
    async function arrange() {
      const watch = new Watch()
      const backend = await Backend.start()
      const { port, server } = await startProxy(options(backend.port))
      return { watch, backend, server, client: await connect(port) }
    }

    test('the client, with its request: ends the backend, and passes the whole response', async () => {
      const { watch, backend, client } = await arrange()
      client.end(GET)
      const peer = await backend.next()
      expect(await peer.ended()).toBe(GET)
      const response = `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(MIB)}`
      await peer.flush(response.slice(0, 1000))
      await client.untilLength(1000)
      peer.end(response.slice(1000))
      expect((await client.ended()) === response).toBe(true)
      await watch.until('close')
      expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
      await Promise.all([client.closed(), peer.closed()])
      expect([client.error, peer.error]).toEqual([undefined, undefined])
    })

    test('the client, in its upload: passes its last byte before the end', async () => {
      const { backend, client } = await arrange()
      client.write(GET)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      client.end('x'.repeat(MIB))
      expect((await peer.ended()).length).toBe(GET.length + MIB)
      peer.end(OK)
      expect(await client.ended()).toBe(OK)
      await client.closed()
    })

    test('the backend, with its response: ends the client, which may continue to send', async () => {
      const { watch, backend, client } = await arrange()
      client.write(GET)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      peer.end(OK)
      expect(await client.ended()).toBe(OK)
      client.write('more')
      await peer.until('more')
      client.end('x'.repeat(MIB))
      expect((await peer.ended()).length).toBe(GET.length + 4 + MIB)
      await watch.until('close')
      expect(watch.codes).toEqual([])
    })

    test('both at once: closes the connection', async () => {
      const { watch, backend, client } = await arrange()
      client.write(GET)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      peer.end(OK)
      client.end('bye')
      expect(await client.ended()).toBe(OK)
      expect(await peer.ended()).toBe(`${GET}bye`)
      await watch.until('close')
      expect(watch.codes).toEqual([])
    })
  })
}

test('closes a client that ends before its first byte, without an error', async () => {
  const watch = new Watch()
  const { port, server } = await startProxy(() => undefined)
  const client = await connect(port)
  client.end()
  expect(await client.ended()).toBe('')
  expect(watch.names).toEqual(['open', 'close'])
  expect(server.counters).toMatchObject({ accepted: 1, badHeads: 0, open: 0 })
})

test('answers 400 to a client that ends inside its head', async () => {
  const watch = new Watch()
  const { port } = await startProxy(() => undefined)
  const client = await connect(port)
  client.end('GET / HT')
  expect(await client.ended()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*INCOMPLETE\n$/)
  await watch.until('close')
  expect(watch.all('error')[0]!.error).toMatchObject({ code: 'BAD_HEAD', cause: { code: 'INCOMPLETE' } })
})

test('closes a connection when both sides have ended, not before', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  client.end(GET)
  const peer = await backend.next()
  await peer.ended()
  await turns(10)
  const { connection } = watch.all('open')[0]!
  expect(connection.state).toBe('Tunnelling')
  peer.end()
  await watch.until('close')
  expect(connection.state).toBe('Closed')
})

test('passes a closed client`s last bytes on to a slow backend', async () => {
  const watch = new Watch()
  let take: () => void = () => undefined
  const taken: Buffer[] = []
  const slow = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      taken.push(chunk)
      take = done
    },
  })
  const { port } = await startProxy(() => ({ connect: () => slow }))
  const client = await connect(port)
  client.end(`${GET}rest`)
  slow.push(OK)
  slow.push(null)
  expect(await client.ended()).toBe(OK)
  await client.closed()
  await turns(10)
  expect(watch.names).toEqual(['open', 'routed', 'connected'])
  while (!slow.closed) {
    take()
    await turn()
  }
  expect(Buffer.concat(taken).toString()).toBe(`${GET}rest`)
  expect(slow.writableFinished).toBe(true)
  expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
})

test('reports a client that closes before it has the whole response', async () => {
  const watch = new Watch()
  let accepted: net.Socket | undefined
  const [near, far] = duplexPair()
  const proxied = handler(() => ({ connect: () => near }))
  const front = net.createServer((socket) => {
    accepted = socket
    proxied(socket)
  })
  const client = net.connect({ port: await listen(front), host, allowHalfOpen: true }).on('error', () => undefined)
  onTestFinished(() => void client.destroy())
  client.end(GET)
  far.resume()
  await once(far, 'end')
  const ended = once(near, 'end')
  near.push(Buffer.alloc(64 * MIB))
  await turn()
  near.push(null)
  // Like a socket, it emits its end although it is paused, because it is empty.
  near.read(0)
  await ended
  expect(accepted!.writableEnded && !accepted!.writableFinished).toBe(true)
  accepted!.destroy()
  await watch.until('close')
  expect(watch.codes).toEqual(['CLIENT_RESET'])
})

test('destroys a backend that has ended at once if it closes while the client continues to send', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  let upstream: net.Socket | undefined
  const { port } = await startProxy(() => ({
    connect() {
      upstream = net.connect(backend.port, host)
      return upstream
    },
  }))
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end(OK)
  await client.ended()
  peer.socket.destroy()
  while (!upstream!.destroyed) {
    client.write('more')
    await turn()
  }
  expect(client.socket.closed).toBe(false)
  client.end()
  await watch.until('close')
  expect(watch.codes).toEqual([])
})

describe('a backend that answers before it has read the whole request', () => {
  const TOO_LARGE = 'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\ntoo'
  const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n'
  const MODIFIES = [
    ['without modify', undefined],
    ['with modify', () => undefined],
    ['with a slow modify', () => turns(20)],
  ] as const

  test('and closes: an endless client gets the answer, is slowed down and reset after seconds', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const { port, server } = await startProxy(() => ({ port: backend.port, host }))
    const client = await connect(port)
    client.write(POST)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.socket.pause()
    const flood = new Flood(client.socket, 1 << 30)
    peer.end(TOO_LARGE)
    expect(await client.ended()).toBe(TOO_LARGE)
    const start = performance.now()
    peer.socket.destroy()
    await client.closed()
    expect(client.error?.code).toMatch(/ECONNRESET|EPIPE/)
    // After 5 seconds, not after the minute of halfCloseTimeout.
    expect(performance.now() - start).toBeLessThan(30_000)
    expect(flood.sent).toBeLessThan(256 * MIB)
    await watch.until('close')
    expect(watch.codes).toEqual(['BACKEND_RESET'])
    expect(server.active.size).toBe(0)
  }, 40_000)

  // Only Linux tells a reset after the end from a reset alone.
  describe.runIf(process.platform === 'linux')('and ends, and resets before modify is done', () => {
    async function arrange() {
      const watch = new Watch()
      const backend = await Backend.start()
      const [asked, done] = [deferred<void>(), deferred<void>()]
      const modify = () => {
        asked.resolve()
        return done.promise
      }
      const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), modify })
      const client = await connect(port)
      client.write(POST)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      await new Promise<void>((sent) => peer.socket.end(TOO_LARGE, sent))
      await asked.promise
      peer.reset()
      for (let i = 0; i < 3; i++) {
        await client.flush('x')
        await turns(5)
      }
      done.resolve()
      expect(await client.ended()).toBe(TOO_LARGE)
      return { client, watch }
    }

    test('the client gets the answer, and is not reset if it ends', async () => {
      const { client, watch } = await arrange()
      client.end()
      await watch.until('close')
      expect(client.error).toBeUndefined()
      expect(watch.codes).toEqual([])
    })

    test('a client that continues to send is reset after seconds', async () => {
      const { client, watch } = await arrange()
      const flood = new Flood(client.socket, 1 << 30)
      await client.closed()
      expect(client.error?.code).toMatch(/ECONNRESET|EPIPE/)
      expect(flood.sent).toBeLessThan(256 * MIB)
      await watch.until('close')
      expect(watch.codes).toEqual(['BACKEND_RESET'])
    })
  })

  for (const [mode, modify] of MODIFIES) {
    test(`and ends its side, ${mode}: the client gets the answer, and its upload ends without a reset`, async () => {
      const watch = new Watch()
      const backend = await Backend.start()
      const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), modify })
      const client = await connect(port)
      client.write(POST)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      peer.socket.pause()
      const flood = new Flood(client.socket, 16 * MIB)
      peer.end(TOO_LARGE)
      expect(await client.ended()).toBe(TOO_LARGE)
      // Closing with unread bytes resets the proxy's socket. The client must not notice.
      peer.socket.destroy()
      await watch.until('close')
      await client.closed()
      expect(client.error).toBeUndefined()
      expect(flood.sent).toBe(16 * MIB)
      expect(watch.codes).toEqual([])
    })

    for (const secure of [false, true]) {
      test(`and closes with bytes unread, ${mode}${secure ? ', over TLS' : ''}: the client gets the answer`, async () => {
        const answer: http.RequestListener = (_, response) => {
          response.writeHead(413, { connection: 'close' }).end('too large')
        }
        const server = secure ? https.createServer(certificate(), answer) : http.createServer(answer)
        const backendPort = await listen(server)
        const dest: Dest = { port: backendPort, host, ...(secure ? { tls: { ca: certificate().cert } } : undefined) }
        const { port } = await startProxy({ lookup: () => dest, modify })
        for (let i = 0; i < 10; i++) {
          const client = net.connect({ port, host }).on('error', () => undefined)
          onTestFinished(() => void client.destroy())
          client.write(POST)
          new Flood(client, 32 * MIB)
          let text = ''
          client.setEncoding('latin1').on('data', (chunk) => {
            text += chunk
          })
          await new Promise((resolve) => client.on('close', resolve))
          expect(text).toMatch(/^HTTP\/1\.1 413 Payload Too Large\r\n[\s\S]*too large/)
        }
      })
    }
  }
})
