import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import { createBalancer } from '../../src/balancer/index.ts'
import type { Dest, Head, ProxyOptions } from '../../src/index.ts'
import { parseHead } from '../../src/index.ts'
import { forBackend, forClient } from '../../src/proxy/host-header.ts'
import { createRouter } from '../../src/router/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../helpers/net.ts'
import { expectNoWarnings, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { certificate } from '../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
const NAME = 'api.test'
const MODES = ['first', 'every'] as const

function headOf(first: string, ...fields: string[]): Head {
  return parseHead(
    Buffer.from([first, ...fields, '', ''].join('\r\n')),
    first.startsWith('HTTP') ? 'response' : 'request',
  )
}

const linesOf = (head: Head) => head.bytes().toString().split('\r\n').slice(0, -2)

test.each([
  [
    ['GET /a?b HTTP/1.1', 'A: 1', 'Host: www.test', 'B: 2'],
    ['GET /a?b HTTP/1.1', 'A: 1', 'Host: api.test', 'B: 2'],
  ],
  [['GET / HTTP/1.0'], ['GET / HTTP/1.0', 'Host: api.test']],
  // A server would take the host of the target.
  [
    ['GET http://www.test/a?b HTTP/1.1', 'Host: www.test'],
    ['GET http://api.test/a?b HTTP/1.1', 'Host: api.test'],
  ],
  [
    ['OPTIONS https://www.test:1 HTTP/1.1', 'Host: www.test:1'],
    ['OPTIONS https://api.test HTTP/1.1', 'Host: api.test'],
  ],
  [
    ['OPTIONS * HTTP/1.1', 'Host: www.test'],
    ['OPTIONS * HTTP/1.1', 'Host: api.test'],
  ],
  [
    ['CONNECT www.test:1 HTTP/1.1', 'Host: www.test:1'],
    ['CONNECT www.test:1 HTTP/1.1', 'Host: api.test'],
  ],
])('the backend gets %j as %j', (before, after) => {
  const [first = '', ...fields] = before
  const head = headOf(first, ...fields)
  expect(linesOf(forBackend(head, NAME))).toEqual(after)
  // Hooks see the head again if the backend cannot be reached.
  expect(linesOf(head)).toEqual(before)
})

test('a request that names the host already stays as it is', () => {
  const head = headOf('GET / HTTP/1.1', 'Host: api.test')
  expect(forBackend(head, NAME)).toBe(head)
  expect(forBackend(head, undefined)).toBe(head)
})

test.each([
  ['https://api.test/a?b#c', '/a?b#c'],
  ['http://API.test/', '/'],
  ['//api.test/a', '/a'],
  ['https://api.test', '/'],
  ['https://api.test?b', '/?b'],
  ['https://api.test#b', '/#b'],
  ['https://api.test:443/a', '/a'],
  ['http://api.test:80/a', '/a'],
  // A path that a browser would take for another host.
  ['https://api.test//evil.test/', '/evil.test/'],
  ['https://api.test/\\evil.test/', '/evil.test/'],
  ['https://api.test\\evil.test/', '/evil.test/'],
  ['https://api.test/\t/evil.test/', '/evil.test/'],
  // Other places.
  ['/a', '/a'],
  ['a/b', 'a/b'],
  ['//evil.test/', '//evil.test/'],
  ['https://api.test:8443/', 'https://api.test:8443/'],
  ['https://api.test.evil.test/', 'https://api.test.evil.test/'],
  ['https://api.test@evil.test/', 'https://api.test@evil.test/'],
  ['https://www.api.test/', 'https://www.api.test/'],
  ['ftp://api.test/', 'ftp://api.test/'],
  ['/x?https://api.test/', '/x?https://api.test/'],
])('the client gets the location %s as %s', (before, after) => {
  for (const name of ['Location', 'Content-Location']) {
    const head = headOf('HTTP/1.1 201 Created', `${name}: ${before}`)
    const { edits } = head
    forClient(head, NAME)
    expect(linesOf(head)).toEqual(['HTTP/1.1 201 Created', `${name}: ${after}`])
    if (before === after) expect(head.edits).toBe(edits)
  }
})

test('a location on another port of the host is kept, unless the backend expects that port', () => {
  const head = headOf('HTTP/1.1 302 Found', 'Location: http://api.test:8443/a')
  forClient(head, 'api.test:8443')
  expect(head.get('location')).toBe('/a')
})

test.each([
  ['a=1; Domain=api.test; Path=/', 'a=1; Path=/'],
  ['a=1;domain=.API.test', 'a=1'],
  ['a=1; Domain = api.test ; Domain=api.test', 'a=1'],
  ['a=1; Domain=test', 'a=1; Domain=test'],
  ['a=1; Domain=x.api.test', 'a=1; Domain=x.api.test'],
  ['domain=api.test; Path=/', 'domain=api.test; Path=/'],
  ['a=1; Path=/; HttpOnly', 'a=1; Path=/; HttpOnly'],
])('the client gets the cookie %s as %s', (before, after) => {
  const head = headOf('HTTP/1.1 200 OK', 'Set-Cookie: b=2', 'A: 1', `Set-Cookie: ${before}`)
  forClient(head, 'api.test:8443')
  expect(linesOf(head)).toEqual(['HTTP/1.1 200 OK', 'Set-Cookie: b=2', 'A: 1', `Set-Cookie: ${after}`])
})

const REDIRECT = `HTTP/1.1 302 Found\r\nLocation: https://${NAME}/in\r\nSet-Cookie: a=1; Domain=${NAME}\r\nContent-Length: 0\r\n\r\n`
const MAPPED = 'HTTP/1.1 302 Found\r\nLocation: /in\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n'
const request = (path: string, rest = '') => `GET ${path} HTTP/1.1\r\nHost: www.test\r\n${rest}\r\n`

async function start(options: Partial<ProxyOptions>, dest: object = {}) {
  const backend = await Backend.start()
  const lookup = () => ({ port: backend.port, host, hostHeader: NAME, ...dest }) as Dest
  const { port } = await startProxy({ lookup, ...options })
  return { backend, client: await connect(port) }
}

/** Reads what came after `seen` characters, up to an empty line. */
async function next(peer: Peer, seen: number): Promise<string> {
  while (!peer.text.slice(seen).includes('\r\n\r\n')) await peer.untilLength(peer.received.length + 1)
  return peer.text.slice(seen)
}

describe.each(MODES)('requests: %s', (requests) => {
  test.each([undefined, (head: Head) => void head.set('X-Seen', head.get('location') ?? 'none')])(
    'the backend gets the host, and modify and the client the location in their terms: %s',
    async (modify) => {
      const { backend, client } = await start({ requests, modify })
      client.write(request('/'))
      const peer = await backend.next()
      expect(await peer.until('\r\n\r\n')).toBe('GET / HTTP/1.1\r\nHost: api.test\r\n\r\n')
      peer.write(REDIRECT)
      const expected = modify ? MAPPED.replace(/\r\n$/, 'X-Seen: /in\r\n\r\n') : MAPPED
      expect(await client.until('\r\n\r\n')).toBe(expected)
      // The next one is read with 'every' only.
      client.write(request('/2'))
      const isRead = requests === 'every'
      const before = 'GET / HTTP/1.1\r\nHost: api.test\r\n\r\n'.length
      expect(await next(peer, before)).toBe(isRead ? request('/2').replace('www', 'api') : request('/2'))
      peer.write(REDIRECT)
      expect(await next(client, expected.length)).toBe(isRead ? expected : REDIRECT)
    },
  )

  test('a client that names the host itself gets the response as it is', async () => {
    const { backend, client } = await start({ requests })
    client.write(request('/').replace('www', 'api'))
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(REDIRECT)
    expect(await client.until('\r\n\r\n')).toBe(REDIRECT)
  })

  test('a body and the response of an upgrade pass', async () => {
    const { backend, client } = await start({ requests })
    client.write(request('/', 'Connection: Upgrade\r\nUpgrade: x\r\n'))
    const peer = await backend.next()
    expect(await peer.until('\r\n\r\n')).toContain('Host: api.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n')
    const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
    peer.write(`${switched}Location: https://${NAME}/\r\n\r\n`)
    expect(await client.until('Location')).toContain(switched)
    client.write('Host: www.test\r\n\r\n')
    expect(await peer.until('www.test')).toContain('\r\n\r\nHost: www.test')
  })

  test('another backend of errback gets the host of the client, or its own', async () => {
    const other = await Backend.start()
    const dead = { port: await deadPort(), host, hostHeader: NAME }
    const dests: Dest[] = [
      { port: other.port, host },
      { port: other.port, host, hostHeader: 'b.test' },
    ]
    for (const [i, wanted] of ['www.test', 'b.test'].entries()) {
      const seen: (string | undefined)[] = []
      const errback: ProxyOptions['errback'] = (_error, _dest, head) => {
        seen.push(head.get('host'))
        return dests[i]!
      }
      const { client } = await start({ requests, errback }, dead)
      client.write(request('/'))
      const peer = await other.next()
      expect(await peer.until('\r\n\r\n')).toContain(`Host: ${wanted}\r\n`)
      expect(seen).toEqual(['www.test'])
      peer.write(REDIRECT)
      expect(await client.until('\r\n\r\n')).toBe(REDIRECT)
    }
  })

  test.each(['', 'a b', 'a/b', 'a\r\nX: 1', 'a:', 'a:b', 'a@b', '.a', 5, null, {}])(
    'hostHeader: %j is an error of lookup',
    async (hostHeader) => {
      const watch = new Watch()
      const { backend, client } = await start({ requests }, { hostHeader })
      client.write(request('/'))
      expect(await client.ended()).toMatch(/^HTTP\/1.1 503 .*LOOKUP_FAILED/s)
      expect(String(watch.all('error')[0]!.error.cause)).toMatch(
        /^TypeError: dest\.hostHeader: expected a host, .* got /,
      )
      expect(backend.accepted).toBe(0)
    },
  )

  test('TLS asks for the host, and checks it, unless tls has a name of its own', async () => {
    const names: (string | false)[] = []
    const server = tls.createServer({ ...certificate(), SNICallback: (_, done) => done(null) }, (socket) => {
      names.push((socket as tls.TLSSocket & { servername: string | false }).servername)
      socket.on('error', () => undefined).once('data', () => socket.end(OK))
    })
    const port = await listen(server)
    const ca = certificate().cert
    for (const [hostHeader, options, name] of [
      ['backend.test', { ca }, 'backend.test'],
      ['backend.test:8443', { ca }, 'backend.test'],
      ['other.test', { ca, servername: 'localhost' }, 'localhost'],
      ['127.0.0.1', { ca }, false],
    ] as const) {
      const { client } = await start({ requests }, { port, hostHeader, tls: options })
      client.end(request('/'))
      expect(await client.ended()).toMatch(/^HTTP\/1.1 200 /)
      expect(names.pop()).toBe(name)
    }
    const { client } = await start({ requests }, { port, hostHeader: 'other.test', tls: { ca } })
    client.end(request('/'))
    expect(await client.ended()).toMatch(/^HTTP\/1.1 502 .*CONNECT_FAILED/s)
  })
})

test('requests for several hosts share the connections to an address', async () => {
  const backend = await Backend.start()
  const lookup = (head: Head) => ({ port: backend.port, host, hostHeader: `${head.target.slice(1)}.test` })
  const { port } = await startProxy({ lookup, requests: 'every' })
  const client = await connect(port)
  let peer: Peer | undefined
  for (const name of ['a', 'b']) {
    const seen = client.text.length
    client.write(request(`/${name}`))
    peer ??= await backend.next()
    expect(await peer.until(`/${name}`).then(() => peer!.until('\r\n\r\n'))).toContain(
      `/${name} HTTP/1.1\r\nHost: ${name}.test\r\n`,
    )
    peer.write(`HTTP/1.1 302 Found\r\nLocation: http://a.test/x\r\nContent-Length: 0\r\n\r\n`)
    expect(await next(client, seen)).toContain(`Location: ${name === 'a' ? '/x' : 'http://a.test/x'}\r\n`)
  }
  expect(backend.accepted).toBe(1)
})

test('a request that is sent again has the host, too', async () => {
  const { backend, client } = await start({ requests: 'every' })
  client.write(request('/1'))
  const first = await backend.next()
  await first.until('\r\n\r\n')
  first.write(OK)
  await client.until('ok')
  client.write(request('/2'))
  await first.until('/2')
  first.reset()
  const second = await backend.next()
  expect(await second.until('\r\n\r\n')).toBe('GET /2 HTTP/1.1\r\nHost: api.test\r\n\r\n')
})

test('a route changes the path of a location that a backend of a balancer sent with its own host', async () => {
  const backend = await Backend.start()
  const pool = createBalancer({ backends: [{ port: backend.port, host, hostHeader: NAME }] })
  const routes = [{ path: '/api', pool: 'pool', stripPrefix: true, basePath: '/v1' }]
  const { lookup, modify, errback } = createRouter({ pools: { pool }, routes })
  const { port } = await startProxy({ requests: 'every', lookup, modify, errback } as ProxyOptions)
  const client = await connect(port)
  client.write(request('/api/users'))
  const peer = await backend.next()
  expect(await peer.until('\r\n\r\n')).toBe('GET /v1/users HTTP/1.1\r\nHost: api.test\r\n\r\n')
  peer.write(REDIRECT.replace('/in', '/v1/users/7').replace('Domain', 'Path=/v1; Domain'))
  expect(await client.until('\r\n\r\n')).toBe(MAPPED.replace('/in', '/api/users/7').replace('a=1', 'a=1; Path=/api'))
  pool.close()
})
