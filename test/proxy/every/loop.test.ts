import http from 'node:http'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect, listen, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, response, serve, start } from './support.ts'

expectNoWarnings()

const get = (path: string, fields = '') => head(fields, `GET ${path} HTTP/1.1`)
const post = (path: string, fields: string) => head(fields, `POST ${path} HTTP/1.1`)
const ok = (text: string) => response(`Content-Length: ${text.length}\r\n`, text)

describe('passes each request of a connection through the hooks', () => {
  test('one by one', async () => {
    const seen: string[] = []
    const { backend, client, watch } = await start({
      lookup: (head) => {
        seen.push(head.target)
        head.set('X-Lookup', String(seen.length))
        return { port: backend.port, host }
      },
      modify: (head, _dest, request) => void head.set('X-Modify', request.target),
    })
    let peer: Peer | undefined
    for (const [i, path] of ['/a', '/b', '/c'].entries()) {
      client.write(get(path, 'X-Lookup: forged\r\n'))
      peer ??= await backend.next()
      expect(await serve(peer, ok(path))).toContain(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Lookup: ${i + 1}\r\n`)
      await client.until(`X-Modify: ${path}\r\n\r\n${path}`)
    }
    expect(seen).toEqual(['/a', '/b', '/c'])
    expect(watch.codes).toEqual([])
    expect(watch.names.filter((name) => name === 'routed' || name === 'end')).toEqual(
      ['routed', 'end', 'routed', 'end', 'routed', 'end'], // biome-ignore format: pairs
    )
  })

  test('with a different backend for each', async () => {
    const { backend: a, client } = await start({
      lookup: ({ target }) => ({ port: target === '/b' ? b.port : a.port, host }),
    })
    const { backend: b } = await start()
    const peers: Peer[] = []
    for (const path of ['/a', '/b', '/a', '/b']) {
      client.write(get(path))
      const k = path === '/a' ? 0 : 1
      peers[k] ??= await [a, b][k]!.next()
      await serve(peers[k], ok(path))
      await client.until(`\r\n\r\n${path}`)
      client.received = Buffer.alloc(0)
    }
    expect([a.accepted, b.accepted]).toEqual([1, 1])
  })

  const BODIES: [what: string, request: string][] = [
    ['no body', get('/x')],
    ['a length', `${post('/x', 'Content-Length: 5\r\n')}hello`],
    ['no bytes', post('/x', 'Content-Length: 0\r\n')],
    ['chunks and trailers', `${post('/x', 'Transfer-Encoding: chunked\r\n')}5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n`],
    ['HEAD', head('', 'HEAD /x HTTP/1.1')],
  ]
  const RESPONSES: [what: string, response: string][] = [
    ['a length', ok('hello')],
    ['chunks and trailers', response('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\nX: y\r\n\r\n')],
    ['no body', response('', '', '204 No Content')],
    ['a 304 with a length', response('Content-Length: 5\r\n', '', '304 Not Modified')],
    ['interim heads', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('')}`],
  ]
  const cases = BODIES.flatMap(([what, request]) => RESPONSES.map(([, answer]) => [what, request, answer] as const))

  test.for(cases)('with any framing: %s, %#', async ([what, request, answer]) => {
    const isHead = what === 'HEAD'
    // Up to the end of the last head.
    const full = isHead ? answer.slice(0, answer.indexOf('\r\n\r\n', answer.lastIndexOf('HTTP/1.1')) + 4) : answer
    for (const isWhole of [true, false]) {
      const { backend, client } = await start()
      // Pipelined, in one piece or byte by byte.
      for (const piece of isWhole ? [request + get('/next')] : request + get('/next')) await client.flush(piece)
      const peer = await backend.next()
      await peer.untilLength(request.length)
      await turns(5)
      expect(peer.text).toBe(request)
      peer.received = Buffer.alloc(0)
      for (const piece of isWhole ? [full] : full) await peer.flush(piece)
      expect(await serve(peer, ok('second'))).toBe(get('/next'))
      expect(await client.until('second')).toBe(full + ok('second'))
    }
  })
})

describe('pipelined requests', () => {
  test('are answered in order, and each starts after the answer to the one before', async () => {
    const { backend, client } = await start()
    client.write(get('/a') + get('/b') + get('/c'))
    const peer = await backend.next()
    for (const path of ['/a', '/b', '/c']) {
      await peer.until('\r\n\r\n')
      await turns(5)
      expect(await serve(peer, ok(path))).toBe(get(path))
    }
    expect(await client.until('/c')).toBe(ok('/a') + ok('/b') + ok('/c'))
    expect(backend.accepted).toBe(1)
  })

  test('are all answered before a FIN, the last with Connection: close', async () => {
    const { backend, client, watch } = await start()
    client.end(get('/a') + get('/b'))
    const peer = await backend.next()
    for (const path of ['/a', '/b']) await serve(peer, ok(path))
    expect(await client.ended()).toBe(ok('/a') + response('Content-Length: 2\r\nConnection: close\r\n', '/b'))
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('do not start while the client does not read', async () => {
    const count = 3_000
    let asked = 0
    // Answers inside the write.
    const answering = () => {
      const stream = new PassThrough()
      stream.write = () => {
        asked++
        stream.push(ok('x'.repeat(10_000)))
        return true
      }
      return stream
    }
    const { port } = await start({ lookup: () => ({ connect: answering }) })
    const client = net.connect(port, host)
    onTestFinished(() => void client.destroy())
    client.write(get('/').repeat(count))
    let before = -1
    while (asked > before || asked === 0) {
      before = asked
      await turns(50)
    }
    expect(asked).toBeLessThan(count)
    let left = ok('x'.repeat(10_000)).length * count
    await new Promise<void>((resolve) => {
      client.on('data', (chunk) => {
        left -= chunk.length
        if (left <= 0) resolve()
      })
    })
    expect([left, asked]).toEqual([0, count])
  })
})

describe('the connection', () => {
  // The request, the backend's answer, the answer to the client, and whether the connection continues.
  const CASES: [request: string, answer: string, sent: string, goesOn: boolean][] = [
    [get('/'), OK, OK, true],
    [get('/', 'Connection: keep-alive\r\n'), response('Connection: keep-alive\r\nContent-Length: 2\r\n', 'ok'), response('Connection: keep-alive\r\nContent-Length: 2\r\n', 'ok'), true],
    [get('/'), response('Connection: close\r\nContent-Length: 2\r\n', 'ok'), OK, true],
    [get('/'), response('Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n', 'ok'), response('Connection: keep-alive\r\nContent-Length: 2\r\n', 'ok'), true],
    [get('/'), response('Connection: X\r\nX: 1\r\nProxy-Connection: close\r\nContent-Length: 2\r\n', 'ok'), OK, true],
    [get('/'), 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', OK, true],
    [get('/', 'Connection: close\r\n'), OK, response('Content-Length: 2\r\nConnection: close\r\n', 'ok'), false],
    [get('/', 'Connection: x, Close\r\n'), OK, response('Content-Length: 2\r\nConnection: close\r\n', 'ok'), false],
    [get('/'), response('X: y\r\n', 'until the end'), response('X: y\r\nConnection: close\r\n', 'until the end'), false],
    [head('', 'GET / HTTP/1.0'), OK, response('Content-Length: 2\r\nConnection: close\r\n', 'ok'), false],
    [head('Connection: keep-alive\r\n', 'GET / HTTP/1.0'), OK, response('Content-Length: 2\r\nConnection: keep-alive\r\n', 'ok'), true],
    [head('Connection: keep-alive, close\r\n', 'GET / HTTP/1.0'), OK, response('Content-Length: 2\r\nConnection: close\r\n', 'ok'), false],
  ] // biome-ignore format: a case a line

  test.for(CASES)('%#: after %j with %j continues or closes as expected', async ([request, answer, sent, goesOn]) => {
    const { backend, client } = await start()
    client.write(request)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end(answer)
    if (!goesOn) {
      expect(await client.ended()).toBe(sent)
      return
    }
    expect(await client.until(sent)).toBe(sent)
    client.write(get('/next', 'Connection: close\r\n'))
    await serve(backend, ok('next'))
    expect(await client.ended()).toContain(`${sent}HTTP/1.1 200 OK`)
  })

  test("continues for Node's agent", async () => {
    const backend = await listen(http.createServer((request, response) => request.pipe(response)))
    const watch = new Watch()
    const { port } = await startProxy({ lookup: () => ({ port: backend, host }), requests: 'every' })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    for (const body of ['a', 'b'.repeat(1_000_000), 'c']) {
      const text = await new Promise<string>((resolve, reject) => {
        const request = http.request({ port, host, agent, method: 'POST' }, async (response) => {
          const chunks: Buffer[] = []
          for await (const chunk of response) chunks.push(chunk)
          resolve(String(Buffer.concat(chunks)))
        })
        request.on('error', reject)
        request.end(body)
      })
      expect(text).toBe(body)
    }
    agent.destroy()
    expect(watch.all('open')).toHaveLength(1)
  })
})

test('answers a connect error of one request and ends the connection', async () => {
  const { client } = await start({ lookup: () => ({ connect: () => Promise.reject(new Error('no')) }) })
  client.write(get('/') + get('/'))
  expect((await client.ended()).match(/HTTP\/1\.1 502/g)).toHaveLength(1)
})

test('gives each request to a server of this process, and modify its response', async () => {
  const seen: unknown[] = []
  const server = http.createServer((request, response) => {
    seen.push([request.url, request.socket.remoteAddress, request.socket.remotePort])
    response.end('x'.repeat(100_000))
  })
  const { port } = await startProxy({
    requests: 'every',
    lookup: () => ({ server }),
    modify: (head) => void head.set('X-Modify', '1'),
  })
  const client = await connect(port)
  for (const path of ['/a', '/b']) {
    client.write(get(path))
    const text = await client.until('\r\n\r\n')
    expect(text).toContain('X-Modify: 1\r\n')
    await client.untilLength(text.indexOf('\r\n\r\n') + 4 + 100_000)
    client.received = Buffer.alloc(0)
  }
  expect(seen).toEqual(['/a', '/b'].map((path) => [path, host, client.socket.localPort]))
})
