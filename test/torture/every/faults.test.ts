import { once } from 'node:events'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Head, handler } from '../../../src/index.ts'
import { Flood, lengthOf, stable } from '../../helpers/flood.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { deferred } from '../../helpers/promises.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, left, meet, response, serve, start } from '../../proxy/every/support.ts'

expectNoWarnings()

const POST = head('Content-Length: 5\r\n', 'POST / HTTP/1.1')

describe('a client that ends its side', () => {
  // With some of these sizes the last bytes are still in the proxy, not in the kernel, when the exchange ends.
  test.for(Array.from({ length: 24 }, (_, i) => 1_000_000 + i * 256_000))(
    'and reads late gets its whole response of %i bytes',
    async (size) => {
      const { backend, port, watch } = await start()
      const socket = net.connect({ port, host, allowHalfOpen: true })
      onTestFinished(() => void socket.destroy())
      socket.write(head())
      const peer = await backend.next()
      const sent = response(`Content-Length: ${size}\r\n`)
      peer.write(sent)
      await once(socket, 'readable')
      socket.end()
      peer.write(Buffer.alloc(size, 'x'))
      await stable(() => peer.socket.bytesWritten - peer.socket.writableLength)
      expect(await lengthOf(socket)).toBe(sent.length + size)
      await watch.until('close')
      expect(watch.codes).toEqual([])
    },
  )

  test('after an early response keeps it, even if its request is incomplete', async () => {
    const { client, peer, watch } = await meet(`${POST}he`)
    peer.write(response('Content-Length: 2\r\n', 'o'))
    await client.until('\r\n\r\no')
    peer.write('k')
    await left(peer)
    client.end('l')
    expect(await client.ended()).toBe(OK)
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })
})

test('drops the rest of a request for 5 s, however slowly it arrives', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const { client, peer } = await meet(`${head('Content-Length: 500\r\n', 'POST / HTTP/1.1')}he`)
    peer.write(response('Content-Length: 2\r\n', 'o'))
    await client.until('\r\n\r\no')
    peer.write('k')
    await client.until('ok')
    await left(peer)
    for (let i = 0; i < 6; i++) {
      client.write('x')
      await turns(50)
      vi.advanceTimersByTime(1_000)
    }
    expect(await client.ended()).toBe(OK)
  } finally {
    vi.useRealTimers()
  }
})

test('a backend waits while modify is pending, even if the client reads the interim heads meanwhile', async () => {
  const { promise, resolve } = deferred<void>()
  const backend = await Backend.start()
  const listener = handler({ requests: 'every', lookup: () => ({ port: backend.port, host }), modify: () => promise })
  let taken: (() => void) | undefined
  const client = new Duplex({
    highWaterMark: 100,
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      taken = done
    },
  })
  onTestFinished(() => void client.destroy())
  listener(client as net.Socket)
  client.push(head())
  const peer = await backend.next()
  const size = 50_000_000
  peer.write(`HTTP/1.1 103 Early Hints\r\nX: ${'x'.repeat(200)}\r\n\r\n${response(`Content-Length: ${size}\r\n`)}`)
  const flood = new Flood(peer.socket, size)
  const sent = () => flood.sent
  while (!taken) await turn()
  await stable(sent)
  taken()
  expect(await stable(sent)).toBeLessThan(size / 2)
  resolve()
})

describe('a late change of a head', () => {
  test('after lookup returned does not affect the framing of the request', async () => {
    const { backend, client, watch } = await start({
      lookup: (head) => {
        setImmediate(() => head.set('Content-Length', '100'))
        return {
          connect: async () => {
            await turns(5)
            const { socket } = await connect(backend.port)
            return socket
          },
        }
      },
    })
    client.write(`${POST}hello`)
    expect(await serve(backend, OK, 'hello')).toBe(`${POST}hello`)
    expect(await client.until('ok')).toBe(OK)
    expect(watch.codes).toEqual([])
  })

  test('after the request was sent does not affect the framing of the response', async () => {
    let late: Head | undefined
    const { backend, client } = await start({
      lookup: (head) => {
        late = head
        return { port: backend.port, host }
      },
    })
    client.write(head())
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    late!.first = 'HEAD / HTTP/1.1'
    peer.write(OK)
    expect(await client.until('ok')).toBe(OK)
  })
})

test.for(['Content-Length', 'chunks'])(
  'closes a client that waits for a 100 after an early answer with %s',
  async (kind) => {
    const { client, peer } = await meet(head('Content-Length: 50\r\nExpect: 100-continue\r\n', 'POST / HTTP/1.1'))
    await peer.until('\r\n\r\n')
    peer.write(
      kind === 'Content-Length'
        ? response('Content-Length: 4\r\n', 'no')
        : response('Transfer-Encoding: chunked\r\n', '2\r\nno\r\n'),
    )
    expect(await client.until('no')).toContain('Connection: close\r\n')
    peer.write(kind === 'Content-Length' ? 'no' : '0\r\n\r\n')
    client.write(head('', 'GET /hidden HTTP/1.1'))
    await client.ended()
    expect(peer.text).not.toContain('HTTP/1.1 200')
  },
)

test.for([
  ['200 OK', '403 Forbidden'],
  ['403 Forbidden', '200 OK'],
])('modify cannot change whether a CONNECT opens a tunnel, from %s to %s', async ([from, to]) => {
  const modify = (head: Head) => {
    head.first = `HTTP/1.1 ${to}`
  }
  const { client, peer, watch } = await meet(head('', 'CONNECT a:80 HTTP/1.1'), { modify })
  peer.write(`HTTP/1.1 ${from}\r\nContent-Length: 2\r\n\r\nno`)
  expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'MODIFY_FAILED'))
  expect(watch.codes).toEqual(['MODIFY_FAILED'])
})

test.for(['FIN', 'reset'])(
  'notices that a backend ends with a %s after its 101 while modify is pending',
  async (how) => {
    const { promise, resolve } = deferred<void>()
    let isAsked = false
    const modify = () => {
      isAsked = true
      return promise
    }
    const { client, peer, watch } = await meet(head('Connection: Upgrade\r\nUpgrade: x\r\n'), { modify })
    await peer.flush(response('Connection: Upgrade\r\nUpgrade: x\r\n', 'hello', '101 Switching Protocols'))
    while (!isAsked) await turn()
    if (how === 'FIN') peer.end()
    else peer.reset()
    await turns(20)
    resolve()
    if (how === 'FIN') expect(await client.ended()).toContain('hello')
    else await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    client.end()
    await watch.until('close')
  },
)

test('passes an early answer of a backend that then resets to a client that still sends', async () => {
  const { client, peer } = await meet(head('Content-Length: 50000000\r\n', 'POST / HTTP/1.1'))
  await peer.until('\r\n\r\n')
  peer.socket.pause()
  client.write(Buffer.alloc(8_000_000))
  await turns(50)
  await peer.flush(response('Content-Length: 2\r\nConnection: close\r\n', 'no', '413 Content Too Large'))
  peer.socket.destroy()
  expect(await client.ended()).toContain('413 Content Too Large')
})

test('removes framing and hop-by-hop fields from interim heads', async () => {
  const { client, peer } = await meet(head())
  await peer.until('\r\n\r\n')
  peer.write(`HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nConnection: close, X\r\nX: 1\r\nLink: y\r\n\r\n${OK}`)
  expect(await client.until('ok')).toBe(`HTTP/1.1 103 Early Hints\r\nLink: y\r\n\r\n${OK}`)
})

describe('an edit of the request by lookup decides which backend connection it can use', () => {
  const EDITS: [what: string, edit: (head: Head) => unknown][] = [
    ['a POST', (head) => Object.assign(head, { first: 'POST / HTTP/1.1' })],
    ['a request with Expect', (head) => head.set('Expect', '100-continue')],
  ]

  test.for(EDITS)('%s cannot use a connection that another client used', async ([, edit]) => {
    const { backend, client, port } = await start({
      lookup: (head) => {
        if (head.has('x-edit')) edit(head)
        return { port: backend.port, host }
      },
    })
    client.write(head())
    await serve(backend, OK)
    await client.until('ok')
    const other = await connect(port)
    other.write(head('X-Edit: 1\r\n'))
    await serve(backend, OK)
    await other.until('ok')
    expect(backend.accepted).toBe(2)
  })

  test('a login keeps the connection for this client', async () => {
    const { backend, client, port } = await start({
      lookup: (head) => {
        if (head.has('x-login')) head.set('Authorization', 'Negotiate abc')
        return { port: backend.port, host }
      },
    })
    client.write(head('X-Login: 1\r\n'))
    await serve(backend, OK)
    await client.until('ok')
    const other = await connect(port)
    other.write(head())
    await serve(backend, OK)
    await other.until('ok')
    expect(backend.accepted).toBe(2)
  })
})

test('answers 50,000 pipelined requests from a hook in order and in bounded memory', async () => {
  const count = 50_000
  const pad = 'x'.repeat(300)
  let asked = 0
  const { port } = await start({ lookup: () => new Response(String(asked++), { headers: { 'X-Pad': pad } }) })
  const client = net.connect(port, host)
  onTestFinished(() => void client.destroy())
  client.write(head().repeat(count))
  await stable(() => asked)
  expect(asked).toBeLessThan(count)
  const before = process.memoryUsage().rss
  let text = ''
  let next = 0
  client.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    for (let end = 0; ; ) {
      const at = text.indexOf('\r\n\r\n', end)
      const body = String(next)
      if (at < 0 || !text.startsWith(body, at + 4)) {
        text = text.slice(end)
        return
      }
      end = at + 4 + body.length
      next++
    }
  })
  while (next < count && !client.destroyed) await once(client, 'data')
  expect([next, asked]).toEqual([count, count])
  expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000)
})
