import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { Duplex } from 'node:stream'
import type { ReadableStreamDefaultController } from 'node:stream/web'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { handler, type Limits } from '../../../src/index.ts'
import { connect, deadPort } from '../../helpers/net.ts'
import { deferred } from '../../helpers/promises.ts'
import { expectNoWarnings, startProxy, Watch, withoutDate } from '../../helpers/proxy.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { head, host, response, serve, start } from './support.ts'

expectNoWarnings()

const get = (path: string, fields = '') => head(fields, `GET ${path} HTTP/1.1`)
const post = (fields: string, body = '') => head(fields, 'POST / HTTP/1.1') + body
const old = (fields: string) => head(fields, 'GET / HTTP/1.0')

/** The answer 'hello' without a type, as a client receives it. */
const hello = (fields = '') => response(`Content-Length: 5\r\n${fields}`, 'hello')
const HELLO = Buffer.from('hello')
const CLOSE = 'Connection: close\r\n'

/** The answers without their Date. */
const texts = (text: string) => withoutDate(text.replaceAll(/Date: [^\r]*\r\n/g, ''))

/** A Response whose body the test writes. */
function writable() {
  const { promise, resolve } = deferred<ReadableStreamDefaultController>()
  return { make: () => new Response(new ReadableStream({ start: resolve })), to: promise }
}

async function startAnswering(make: () => Response = () => new Response(HELLO), limits: Limits = {}) {
  const watch = new Watch()
  const { port, server } = await startProxy({ requests: 'every', lookup: make, ...limits })
  return { watch, port, server, client: await connect(port) }
}

describe('a connection continues after a Response', () => {
  const CASES: [request: string, make: () => Response, sent: string | RegExp][] = [
    [get('/'), () => new Response(HELLO), hello()],
    [get('/'), () => new Response(null, { status: 204 }), response('', '', '204 No Content')],
    [get('/'), () => new Response(null, { status: 304 }), response('', '', '304 Not Modified')],
    [get('/'), () => new Response(null, { status: 401 }), response('Content-Length: 0\r\n', '', '401 Unauthorized')],
    [get('/'), () => new Response(Buffer.alloc(100_000)), /^HTTP\/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n\0{100000}\r\n0\r\n\r\n$/],
    [head('', 'HEAD / HTTP/1.1'), () => new Response(HELLO), response('Content-Length: 5\r\n')],
    [head('', 'HEAD / HTTP/1.1'), () => new Response(null), response('')],
    [get('/', 'Connection: Upgrade\r\nUpgrade: x\r\n'), () => new Response(HELLO), hello()],
    [old('Connection: keep-alive\r\n'), () => new Response(HELLO), hello('Connection: keep-alive\r\n')],
    [post('Content-Length: 5\r\n', 'xxxxx'), () => new Response(HELLO), hello()],
    [post('Content-Length: 65536\r\n', 'x'.repeat(65_536)), () => new Response(HELLO), hello()],
    [post('Transfer-Encoding: chunked\r\n', '5\r\nxxxxx\r\n0\r\nA: b\r\n\r\n'), () => new Response(HELLO), hello()],
  ] // biome-ignore format: a case a line

  test.for(CASES)('%#: to %j', async ([request, make, sent]) => {
    for (const pieces of [
      [request, get('/next')],
      [request + get('/next')],
      [...(request + get('/next')).slice(-1000)],
    ]) {
      let made = 0
      const { client, watch } = await startAnswering(() => (made++ === 0 ? make() : new Response('next')))
      const first = (request + get('/next')).slice(0, -1000)
      if (pieces.length > 2 && first !== '') await client.flush(first)
      for (const piece of pieces) await client.flush(piece)
      const text = await client.until('\r\n\r\nnext')
      const end = text.lastIndexOf('HTTP/1.1 200 OK')
      const answer = texts(text.slice(0, end))
      if (typeof sent === 'string') expect(answer).toBe(sent)
      else expect(answer).toMatch(sent)
      expect(watch.codes).toEqual([])
    }
  })

  test('between requests that go to a backend', async () => {
    const { backend, client, watch } = await start({
      lookup: ({ target }) => (target === '/own' ? new Response(HELLO) : { port: backend.port, host }),
    })
    client.write(get('/own') + get('/a') + get('/own') + get('/b'))
    const peer = await backend.next()
    for (const path of ['/a', '/b']) {
      expect(await serve(peer, response('Content-Length: 2\r\n', path))).toBe(get(path))
    }
    const both = (path: string) => hello() + response('Content-Length: 2\r\n', path)
    expect(texts(await client.until('\r\n\r\n/b'))).toBe(both('/a') + both('/b'))
    expect(watch.all('end').map(({ dest }) => dest && 'port' in dest)).toEqual([undefined, true, undefined, true])
  })

  test('from errback', async () => {
    const port = await deadPort()
    const { client, watch } = await start({ lookup: () => ({ port, host }), errback: () => new Response(HELLO) })
    client.write(get('/a') + get('/b'))
    client.end()
    expect(texts(await client.ended())).toBe(hello() + hello(CLOSE))
    await watch.until('close')
    expect(watch.codes).toEqual(['CONNECT_FAILED', 'CONNECT_FAILED'])
  })

  test('with a slow body while the next request waits', async () => {
    const { make, to } = writable()
    let made = 0
    const { client } = await startAnswering(() => (made++ === 0 ? make() : new Response('next')))
    client.write(get('/') + get('/next'))
    await client.until('chunked\r\n\r\n')
    ;(await to).enqueue(HELLO)
    await client.until('5\r\nhello\r\n')
    expect(made).toBe(1)
    ;(await to).close()
    expect(await client.until('next')).toContain('0\r\n\r\nHTTP/1.1 200 OK\r\n')
  })
})

describe('a connection closes after a Response', () => {
  const CHUNK = `8000\r\n${'x'.repeat(32_768)}\r\n`
  const CASES: [what: string, request: string, make: () => Response, sent: string | RegExp][] = [
    ['as the client asks', get('/', CLOSE), () => new Response(HELLO), hello(CLOSE)],
    ['to HTTP/1.0', old(''), () => new Response(HELLO), hello(CLOSE)],
    ['that is long, to HTTP/1.0', old('Connection: keep-alive\r\n'), () => new Response(Buffer.alloc(70_000)), /^HTTP\/1.1 200 OK\r\nConnection: close\r\n\r\n\0{70000}$/],
    ['to a long body', post('Content-Length: 65537\r\n', 'x'.repeat(65_537)), () => new Response(HELLO), hello(CLOSE)],
    ['to many chunks', post('Transfer-Encoding: chunked\r\n', `${CHUNK}${CHUNK}${CHUNK}0\r\n\r\n`), () => new Response(HELLO), /^HTTP\/1.1 200 OK\r\n.*\r\n\r\nhello$/s],
    ['to broken chunks', post('Transfer-Encoding: chunked\r\n', '5\nxxxxx\n0\n\n'), () => new Response(HELLO), hello(CLOSE)],
    ['to a body that may not come', post('Content-Length: 5\r\nExpect: 100-continue\r\n'), () => new Response(HELLO), hello(CLOSE)],
    ['to CONNECT', head('', 'CONNECT a:1 HTTP/1.1'), () => new Response('no', { status: 403 }), /^HTTP\/1.1 403 .*Connection: close\r\n\r\nno$/s],
  ] // biome-ignore format: a case a line

  test.for(CASES)('%s', async ([, request, make, sent]) => {
    let made = 0
    const { client, watch } = await startAnswering(() => {
      made++
      return make()
    })
    client.write(request + get('/never'))
    const text = texts(await client.ended())
    if (typeof sent === 'string') expect(text).toBe(sent)
    else expect(text).toMatch(sent)
    client.end()
    await watch.until('close')
    expect([client.error, made, watch.codes]).toEqual([undefined, 1, []])
  })

  test('if a request body gets too long while the answer is sent', async () => {
    const { make, to } = writable()
    const { client, watch } = await startAnswering(make)
    client.write(post('Transfer-Encoding: chunked\r\n', CHUNK))
    ;(await to).enqueue(HELLO)
    await client.until('hello')
    await client.flush(CHUNK.repeat(4))
    ;(await to).enqueue(HELLO)
    ;(await to).close()
    expect(await client.ended()).toMatch(/chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n$/)
    client.end()
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('if the client ends its side inside a request body', async () => {
    const { client, watch } = await startAnswering()
    client.end(post('Content-Length: 5\r\n', 'xx'))
    expect(texts(await client.ended())).toMatch(
      /^HTTP\/1.1 200 OK\r\nContent-Length: 5\r\n(Connection: close\r\n)?\r\nhello$/,
    )
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('if the rest of a request body does not arrive for 5 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { client, watch } = await startAnswering()
    client.write(post('Content-Length: 5\r\n', 'xx'))
    expect(texts(await client.until('hello'))).toBe(hello())
    await turns(5)
    await vi.advanceTimersByTimeAsync(5_000)
    await client.ended()
    client.end()
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })
})

test("continues the connection of Node's agent", async () => {
  const { port, server } = await startAnswering(() => new Response('mine', { status: 401 }))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  for (const body of ['a', 'b'.repeat(60_000), '', 'c']) {
    const request = http.request({ port, host, agent, method: 'POST' }).end(body)
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage]
    expect([answer.statusCode, String(Buffer.concat(await answer.toArray()))]).toEqual([401, 'mine'])
  }
  // startAnswering has also connected a client.
  expect(server.counters.accepted).toBe(2)
})

test('resets the client if the body fails', async () => {
  const cause = new Error('broke')
  const { make, to } = writable()
  const { client, watch } = await startAnswering(make)
  client.write(get('/') + get('/never'))
  ;(await to).enqueue(HELLO)
  await client.until('hello')
  ;(await to).error(cause)
  await client.closed()
  expect([client.error?.code, client.hasEnded]).toEqual(['ECONNRESET', false])
  await watch.until('close')
  expect(watch.all('error').map(({ error }) => [error.code, error.cause])).toEqual([['REPLY_FAILED', cause]])
})

test('delivers the whole answer to a client that ends its side during it, however slow it is', async () => {
  const { make, to } = writable()
  let text = ''
  const pending: (() => void)[] = []
  const write = (bytes: Buffer, _encoding: string, done: () => void) => {
    text += bytes
    pending.push(done)
  }
  const client = new Duplex({ read() {}, write })
  handler({ requests: 'every', lookup: make })(client)
  client.push(get('/'))
  ;(await to).enqueue(HELLO)
  while (!text.includes('hello')) await turn()
  client.push(null)
  await turns(5)
  ;(await to).close()
  await turns(5)
  while (!client.writableFinished && !client.destroyed) {
    pending.shift()?.()
    await turn()
  }
  expect(text).toMatch(/\r\n5\r\nhello\r\n0\r\n\r\n$/)
  client.destroy()
})

test('resets the client if a body stalls for bodyTimeout', async () => {
  const { client, watch } = await startAnswering(writable().make, { bodyTimeout: 30 })
  client.write(get('/'))
  await client.closed()
  expect(client.error?.code).toBe('ECONNRESET')
  await watch.until('close')
  expect(watch.codes).toEqual(['RESPONSE_BODY_TIMEOUT'])
})

test('cancels a body when the client leaves', async () => {
  const cancelled = deferred<unknown>()
  const { client } = await startAnswering(
    () => new Response(new ReadableStream({ start: (to) => to.enqueue(HELLO), cancel: cancelled.resolve })),
  )
  client.write(get('/'))
  await client.until('hello')
  client.reset()
  await cancelled.promise
})

test('answers pipelined requests one by one, and none while the client does not read', async () => {
  const count = 20_000
  const page = Buffer.alloc(1000, 'x')
  let asked = 0
  const { port } = await startAnswering(() => {
    asked++
    return new Response(page)
  })
  const client = net.connect(port, host)
  onTestFinished(() => void client.destroy())
  client.write(get('/').repeat(count))
  for (let before = -1; asked > before || asked === 0; ) {
    before = asked
    await turns(100)
  }
  expect(asked).toBeLessThan(count)
  let [got, tail] = [0, '']
  for await (const chunk of client) {
    const text = tail + (chunk as Buffer).toString('latin1')
    got += text.split('HTTP/1.1 200 OK').length - 1
    tail = text.slice(-14)
    if (got === count) break
  }
  expect([got, asked]).toEqual([count, count])
})
