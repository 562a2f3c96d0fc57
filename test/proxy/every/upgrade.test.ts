import http from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { answer, ask, expectNoWarnings, OK, startProxy, withoutDate } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, left, meet, response, serve } from './support.ts'

expectNoWarnings()

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: x\r\n'
const SWITCH = response(UPGRADE, '', '101 Switching Protocols')
const SECOND = head('', 'GET /second HTTP/1.1')
const CONNECT = head('', 'CONNECT a:80 HTTP/1.1')

// The client's fields, and the fields that the backend gets.
const FIELDS: [fields: string, sent: string, first?: string][] = [
  [UPGRADE, UPGRADE],
  ['Connection: keep-alive, Upgrade\r\nUpgrade: websocket, x/1.0\r\n', 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket, x/1.0\r\n'],
  [`${UPGRADE}Content-Length: 0\r\n`, `${UPGRADE}Content-Length: 0\r\n`],
  ['Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c, x\r\nHTTP2-Settings: AA\r\n', 'Connection: upgrade\r\nUpgrade: x\r\n'],
  // Not named by Connection, with a body, from HTTP/1.0, for HTTP/2, or an invalid list of protocols.
  ['Upgrade: x\r\n', ''],
  ['Connection: close\r\nUpgrade: x\r\n', ''],
  [`Content-Length: 2\r\n${UPGRADE}`, 'Content-Length: 2\r\n', 'POST / HTTP/1.1'],
  [`Transfer-Encoding: chunked\r\n${UPGRADE}`, 'Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.1'],
  [UPGRADE, '', 'GET / HTTP/1.0'],
  ['Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: h2c/1, H2\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: h2c x\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: x, y z\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: x/1/2\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: "x"\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade:\r\n', ''],
] // biome-ignore format: a case a line

test.for(FIELDS)('sends a request with %j to the backend with %j', async ([fields, sent, first]) => {
  const { peer } = await meet(head(fields, first))
  expect(await peer.until('\r\n\r\n')).toBe(head(sent, first))
})

describe('an upgrade', () => {
  test("holds the client's bytes until the 101, then passes bytes both ways", async () => {
    const { client, peer, watch } = await meet(`${head(UPGRADE)}early`)
    await peer.until('\r\n\r\n')
    await client.flush('more')
    await turns(20)
    expect(peer.text).toBe(head(UPGRADE))
    peer.write(`${SWITCH}first`)
    await client.until(`${SWITCH}first`)
    client.end('last')
    expect(await peer.ended()).toBe(`${head(UPGRADE)}earlymorelast`)
    peer.end('bye')
    expect(await client.ended()).toBe(`${SWITCH}firstbye`)
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test.for([OK, response('Content-Length: 2\r\n', 'no', '426 Upgrade Required')])(
    'answered by %j sends the held bytes as the next request on a fresh backend connection',
    async (refusal) => {
      const { backend, client, peer } = await meet(head(UPGRADE) + SECOND)
      await peer.until('\r\n\r\n')
      expect(await serve(peer, refusal)).toBe(head(UPGRADE))
      expect(await serve(backend, OK)).toBe(SECOND)
      await left(peer)
      expect(await client.until(refusal + OK)).toBe(refusal + OK)
    },
  )

  test('advised by a 426 keeps the advice', async () => {
    const advice = response('Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n', '', '426 Upgrade Required')
    const { client, peer } = await meet(head())
    peer.write(advice)
    expect(await client.until('\r\n\r\n')).toBe(advice)
  })

  test.for([
    ['', SWITCH],
    ['Connection: Upgrade\r\nUpgrade: h2c x\r\n', SWITCH],
    [UPGRADE, SWITCH.replace('Upgrade: x', 'Upgrade: y')],
    [UPGRADE, SWITCH.replace('Upgrade: x', 'Upgrade: x, y')],
  ])('that the client did not request is a 502: %j, %j', async ([fields, answered]) => {
    const { client, peer, watch } = await meet(head(fields!) + SECOND)
    peer.write(answered!)
    expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'UNASKED_UPGRADE'))
    expect(watch.codes).toEqual(['UNASKED_UPGRADE'])
    await left(peer)
    expect(peer.text).not.toContain('second')
  })

  test('can follow other requests, and modify sees its 101', async () => {
    const seen: number[] = []
    const { client, peer } = await meet(SECOND, { modify: (head) => void seen.push(head.status) })
    await serve(peer, OK)
    await client.until('ok')
    client.write(head(UPGRADE))
    await serve(peer, SWITCH)
    await client.until(SWITCH)
    client.write('up')
    await peer.until('up')
    expect(seen).toEqual([200, 101])
  })

  test.for(['in another process', 'in this process'])('to a WebSocket works with a server %s', async (where) => {
    const server = http.createServer()
    new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const dest = where === 'in this process' ? { server } : { port: await listen(server), host }
    const { port } = await startProxy({ lookup: () => dest, requests: 'every' })
    const socket = new WebSocket(`ws://${host}:${port}/`)
    socket.on('open', () => socket.send('hello'))
    expect(await new Promise((resolve) => socket.on('message', (data) => resolve(String(data))))).toBe('hello')
    socket.close()
    await new Promise((resolve) => socket.on('close', resolve))
  })
})

describe('CONNECT', () => {
  test('holds the following bytes, and opens a tunnel after a 2xx', async () => {
    const { client, peer } = await meet(`${CONNECT}early`)
    await peer.until('\r\n\r\n')
    await turns(20)
    expect(peer.text).not.toContain('early')
    peer.write('HTTP/1.1 200 OK\r\n\r\nhello')
    await client.until('hello')
    await peer.until('early')
  })

  test('is the last request of its connection after any other response', async () => {
    const { client, peer } = await meet(CONNECT + SECOND)
    await peer.until('\r\n\r\n')
    peer.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    expect(await client.ended()).toMatch(/Connection: close\r\n\r\nno$/)
    client.end()
    await left(peer)
    expect(peer.text).not.toContain('second')
  })

  test.for(['Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n'])('is a 400 with %j', async (fields) => {
    const { port } = await startProxy({ lookup: () => undefined, requests: 'every' })
    const text = await ask(port, head(fields, 'CONNECT a:80 HTTP/1.1'))
    expect(withoutDate(text)).toBe(answer('400 Bad Request', 'BAD_REQUEST_BODY'))
  })
})

describe('HTTP/2', () => {
  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

  test('is refused by default', async () => {
    const { port } = await startProxy({ lookup: () => undefined, requests: 'every' })
    expect(await ask(port, PREFACE)).toMatch(/^HTTP\/1\.1 505 /)
    const { peer, client } = await meet(`${PREFACE}frames`, { http2: 'pass' })
    await peer.until(`${PREFACE}frames`)
    peer.write('more frames')
    await client.until('more frames')
  })

  test('is always refused after other requests', async () => {
    const { peer, client } = await meet(head() + PREFACE, { http2: 'pass' })
    peer.write(OK)
    expect(await client.ended()).toMatch(/ok(HTTP\/1\.1 505 |$)/)
  })
})

test('a tunnel keeps neither the heads nor the exchange', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let ref: WeakRef<object> | undefined
  const backend = await Backend.start()
  const lookup = (one: object) => {
    ref = new WeakRef(one)
    return { port: backend.port, host }
  }
  const { port } = await startProxy({ lookup, requests: 'every' })
  const client = await connect(port)
  client.write(head(UPGRADE))
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.write(SWITCH)
  await client.until('\r\n\r\n')
  await turns(5)
  collect()
  expect(ref).toBeDefined()
  expect(ref!.deref()).toBeUndefined()
  // Still open.
  client.write('on')
  await peer.until('on')
})
