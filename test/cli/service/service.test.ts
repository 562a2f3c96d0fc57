import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { Service } from '../../../src/cli/service/service.ts'
import { Backend, connect, deadPort, listen, ownHost } from '../../helpers/net.ts'
import { answer, ask, converse, expectNoWarnings, GET, OK, withoutDate } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { ADMIN, configOf, endWith, get, portOf, STICKY, startBackend, startService } from './support.ts'

expectNoWarnings()

const quiet = { say: () => undefined, log: () => undefined }

test('passes a connection byte for byte, and counts it', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }] })
  expect(service.addresses).toEqual([`http://127.0.0.1:${port}/`])
  expect(service.adminUrl).toBeUndefined()
  await converse(port, backend)
  expect(service.counters).toMatchObject({ accepted: 1, connected: 1, bytesRead: GET.length, bytesWritten: OK.length })
  expect(service.pools.backends).toMatchObject([{ id: `localhost:${backend.port}`, total: 1 }])
})

test('listens on several addresses', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const { service, port } = await startService({
    backends: [await startBackend()],
    listen: [{ port: 0, host: '127.0.0.1' }, { port: 0, host: '::1' }, { path }, { port: 0 }],
  })
  const [first, second, third, fourth] = service.addresses
  expect(first).toBe(`http://127.0.0.1:${port}/`)
  expect(second).toMatch(/^http:\/\/\[::1\]:\d+\/$/)
  expect(third).toBe(`unix:${path}`)
  expect(fourth).toMatch(/^http:\/\/\*:\d+\/$/)
  const targets = [port, { port: portOf(second), host: '::1' }, { socketPath: path }, portOf(fourth)]
  for (const target of targets) expect((await get(target)).id).toBe('a')
})

test('lists the addresses it listens on', async () => {
  const backends = [await startBackend()]
  const started = async (host: string) =>
    startService({ backends, listen: [{ port: 0, host }], admin: { listen: { port: 0, host }, token: 'x' } })
  const every = await started('::')
  expect(every.service.addresses).toEqual([expect.stringMatching(/^http:\/\/\*:\d+\/$/)])
  expect(every.service.adminUrl).toMatch(/^http:\/\/\*:\d+\/$/)
  // Both families.
  for (const host of ['127.0.0.1', '::1']) expect((await get({ port: every.port, host })).id).toBe('a')
  const four = await started('0.0.0.0')
  expect(four.service.addresses).toEqual([expect.stringMatching(/^http:\/\/0\.0\.0\.0:\d+\/$/)])
  expect(four.service.adminUrl).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/$/)
})

test('brings clients home by a cookie that the backend does not see, only with sticky', async () => {
  const backends = [await startBackend('a'), await startBackend('b'), await startBackend('c')]
  const sticky = await startService({ backends, sticky: STICKY, secret: ['a secret'] })
  const first = await get(sticky.port)
  expect(first.cookies).toEqual([expect.stringMatching(/^sticky=[\w-]{16}; Path=\/; HttpOnly$/)])
  const cookie = first.cookies[0]!.split(';')[0]!
  for (let i = 0; i < 5; i++) {
    const { id, headers } = await get(sticky.port, { cookie: `mine=1; ${cookie}` })
    expect({ id, cookie: headers.cookie }).toEqual({ id: first.id, cookie: 'mine=1' })
  }
  // Another process with the same secret does the same.
  const other = await startService({ backends: backends.toReversed(), sticky: STICKY, secret: ['new', 'a secret'] })
  expect((await get(other.port, { cookie })).id).toBe(first.id)
  const plain = await startService({ backends })
  const ids = [await get(plain.port, { cookie }), await get(plain.port, { cookie })].map(({ id }) => id)
  expect(new Set(ids).size).toBe(2)
  expect((await get(plain.port, { cookie })).cookies).toEqual([])
})

const HOP_BY_HOP = [
  ['', ''],
  ['Connection: keep-alive\r\n', 'Connection: keep-alive\r\n'],
  ['Connection: TE, Keep-Alive\r\n', 'Connection: keep-alive\r\n'],
  ['Connection: close\r\n', ''],
  ['Upgrade: websocket\r\n', ''],
  ['Connection: Upgrade\r\nUpgrade: websocket\r\n', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
] as const

test.each(HOP_BY_HOP)('every request: sends %j as %j', async (field, expected) => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], requests: 'every' })
  const client = await connect(port)
  client.write(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n`)
  expect(await (await backend.next()).until('\r\n\r\n')).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${expected}\r\n`)
})

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const nothing = () => undefined

test.each([
  [{}],
  [{ sticky: STICKY }],
  [{ hooks: { errback: nothing } }],
  [{ http2: 'pass', requests: 'every', forwarded: 'x', hooks: { lookup: nothing, modify: nothing } }],
] as const)('an HTTP/2 connection goes through untouched: %j', async (given) => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], ...given })
  await converse(port, backend, `${PREFACE} and frames`)
})

test.each([
  [{ forwarded: 'x' }],
  [{ requests: 'every' }],
  [{ hooks: { lookup: nothing } }],
  [{ hooks: { modify: nothing } }],
  [{ http2: 'refuse', sticky: STICKY }],
] as const)('an HTTP/2 connection gets a 505: %j', async (given) => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], ...given })
  expect(await ask(port, PREFACE)).toMatch(/^HTTP\/1\.1 505 [\s\S]*HTTP2_REFUSED\n$/)
  expect(backend.accepted).toBe(0)
})

test('a lookup hook edits the request, and returns a Dest or lets the balancer choose', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { port } = await startService({
    backends: [a],
    hooks: {
      lookup: (head, client) => {
        head.set('X-Port', String(client.localPort))
        if (head.target === '/now') return { port: b.port, host: '127.0.0.1' }
        if (head.target === '/later') return Promise.resolve({ port: b.port, host: '127.0.0.1' })
        return head.target === '/never' ? Promise.resolve(undefined) : undefined
      },
    },
  })
  const homes = { '/': 'a', '/now': 'b', '/later': 'b', '/never': 'a' }
  for (const [path, home] of Object.entries(homes)) {
    const { id, headers } = await get({ port, host: '127.0.0.1', path })
    expect([path, id, headers['x-port']]).toEqual([path, home, String(port)])
  }
})

test('a modify hook edits the response', async () => {
  const hooks = { modify: (head: { set(name: string, value: string): unknown }) => void head.set('Set-Cookie', 'x=1') }
  const { port } = await startService({ backends: [await startBackend()], hooks })
  expect((await get(port)).cookies).toEqual(['x=1'])
})

test.each([
  ['lookup', { lookup: () => fail() }, '503'],
  ['lookup', { lookup: async () => fail() }, '503'],
  ['modify', { modify: () => fail() }, '502'],
  ['modify', { modify: async () => fail() }, '502'],
  ['errback', { errback: () => fail(), lookup: () => ({ port: 1, host: '127.0.0.1' }) }, '502'],
] as const)('people are told of a %s hook that throws, and not at each connection', async (name, hooks, status) => {
  const { port, said } = await startService({ backends: [await startBackend()], hooks })
  for (let i = 0; i < 3; i++) expect(await endWith(port)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  const lines = said.all.filter((line) => line.startsWith('the hook '))
  expect(lines).toEqual([expect.stringMatching(new RegExp(`^the hook ${name} failed at \\S+:\\d+: no good$`))])
})

function fail(): never {
  throw new Error('no good')
}

test.each([
  ['/own', /^HTTP\/1.1 418 Teapot\r\n\r\n$/],
  ['/other', /^HTTP\/1.1 200 OK\r\n.*"id":"alive"/s],
])('calls the errback hook before the balancer: %s', async (path, expected) => {
  const [dead, alive] = [{ id: 'dead', port: await deadPort() }, await startBackend('alive')]
  const asked: string[] = []
  const { port } = await startService({
    backends: [dead, { ...alive, backup: true }],
    hooks: {
      errback: (error, dest, head) => {
        asked.push(`${error.code} ${dest && 'port' in dest ? dest.port : 'none'} ${head.target}`)
        return head.target === '/own' ? Readable.from(['HTTP/1.1 418 Teapot\r\n\r\n']) : undefined
      },
    },
  })
  expect(await endWith(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(expected)
  expect(asked).toEqual([`CONNECT_FAILED ${dead.port} ${path}`])
})

test('hash by client: a client behind several trusted proxies has one home', async () => {
  const backends = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(startBackend))
  const { port } = await startService({ backends, algorithm: 'hash', trust: ['127.0.0.0/8'] })
  const homes = new Set<string>()
  for (const client of ['1.2.3.4', '1.2.3.5', '2001:db8::1', '5.6.7.8', '9.9.9.9', '8.8.8.8']) {
    const ids = new Set<string>()
    for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
      const forged = `${Math.random()}, ${client}, 127.0.0.9`
      ids.add((await get({ port, host: '127.0.0.1', localAddress }, { 'X-Forwarded-For': forged })).id)
    }
    expect(ids.size).toBe(1)
    homes.add([...ids][0]!)
  }
  expect(homes.size).toBeGreaterThan(1)
})

test('hash by client: an untrusted client cannot choose its home', async () => {
  const backends = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(startBackend))
  const { port } = await startService({ backends, algorithm: 'hash', trust: ['10.0.0.0/8'] })
  const ids = new Set<string>()
  for (let i = 0; i < 20; i++) ids.add((await get(port, { 'X-Forwarded-For': `10.0.0.${i}` })).id)
  expect(ids.size).toBe(1)
})

test('prints a line for each change of a backend', async () => {
  const port = await deadPort()
  const { service, said, port: own } = await startService({ backends: [{ id: 'x', port }], admin: ADMIN })
  expect(await endWith(own)).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n/)
  // The admin server reports what an operator does.
  service.pools.drain('x')
  service.pools.ready('x')
  expect(said.all).toEqual([
    `backend x is down: connect ECONNREFUSED 127.0.0.1:${port}; connect ECONNREFUSED ::1:${port}`,
  ])
})

test('prints sometimes that this machine cannot connect', async () => {
  const { port: own, said } = await startService({
    hooks: {
      lookup: () => ({
        connect: () => new net.Socket().destroy(Object.assign(new Error('connect EMFILE'), { code: 'EMFILE' })),
      }),
    },
  })
  for (let i = 0; i < 3; i++) expect(await endWith(own)).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n/)
  expect(said.all).toEqual(['out of local resources (not a backend failure): connect EMFILE'])
})

test('starts if a DNS name does not resolve, and prints it', async () => {
  const { said, port } = await startService({
    backends: [{ dns: 'app.test', port: 80 }],
    dns: { servers: [`127.0.0.1:${await deadPort()}`], timeout: 200 },
  })
  expect(said.all).toEqual([expect.stringMatching(/^dns:app\.test:80 did not resolve: /)])
  expect(await endWith(port)).toMatch(/^HTTP\/1.1 503 /)
})

test('reports an address in use in one line, and leaves nothing open', async () => {
  const server = net.createServer()
  const port = await listen(server)
  const [free, adminPort] = await freePorts()
  const config = configOf({
    admin: { listen: { port: adminPort, host: ownHost }, token: 'x' },
    listen: [
      { port: free, host: ownHost },
      { port, host: '127.0.0.1' },
    ],
  })
  await expect(Service.start(config, quiet)).rejects.toThrow(
    new Error(`cannot listen on 127.0.0.1:${port}: the address is in use`),
  )
  // Both addresses are free again.
  for (const one of [free, adminPort]) await listen(net.createServer(), { port: one, host: ownHost })
})

/** Two closed ports of this process's address. */
async function freePorts(): Promise<[number, number]> {
  const servers = [net.createServer().listen(0, ownHost), net.createServer().listen(0, ownHost)] as const
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const [one, other] = servers.map((server) => (server.address() as net.AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return [one!, other!]
}

test('lenient responses: repairs a malformed head', async () => {
  const backend = await Backend.start()
  const limits = { lenientResponses: true }
  const { port } = await startService({ backends: [{ port: backend.port }], limits, log: 'text' })
  const client = await connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end('HTTP/1.1 200 OK\nX : y\n\nbody')
  expect(await client.ended()).toBe('HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody')
})

const WRONG = [
  [
    { trust: ['10.0.0.0/33'] },
    `trust: expected an address, a network as in '10.0.0.0/8', or 'unix', got "10.0.0.0/33"`,
  ],
  [{ backends: [{ port: 1 }, { port: 1 }] }, /^backends\[1\]/],
  [{ limits: { maxFields: 0 } }, 'maxFields: expected an integer from 1 to 1048576, got 0'],
  [{ sticky: { ...STICKY, name: 'a b' } }, "cookie.name: expected a token (RFC 6265 4.1.1), got 'a b'"],
] as const

test.each(WRONG)('throws a TypeError on the config %j', async (given, message) => {
  const started = Service.start(configOf(given as object), quiet)
  await expect(started).rejects.toThrow(TypeError)
  await expect(started).rejects.toThrow(message)
})

test('two services in a process share nothing', async () => {
  const backends = [await startBackend()]
  const one = await startService({ backends, log: 'text' })
  const other = await startService({ backends, log: 'json' })
  await get(one.port)
  await one.logged.untilCount(1)
  await get(other.port)
  await other.logged.untilCount(1)
  expect(one.logged.all).toHaveLength(1)
  expect(one.service.counters.accepted).toBe(1)
  expect(other.service.counters.accepted).toBe(1)
  one.service.stop()
  expect((await get(other.port)).id).toBe('a')
})

test('a drain lets open connections end, refuses new ones, and closes the admin page last', async () => {
  const backend = await Backend.start()
  const path = join(temporaryDirectory(), 'x.sock')
  const listen = [{ port: 0, host: '127.0.0.1' }, { path }]
  const { service, port } = await startService({ backends: [{ port: backend.port }], admin: ADMIN, listen })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  const health = () => fetch(new URL('/healthz', service.adminUrl)).then(({ status }) => status)
  expect(await health()).toBe(200)
  const drained = service.drain()
  expect(service.isEnding).toBe(true)
  expect(service.addresses).toEqual([])
  expect(await health()).toBe(503)
  await expect(connect(port)).rejects.toThrow('ECONNREFUSED')
  await expect(connect({ path })).rejects.toThrow('ENOENT')
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
  client.end()
  const { adminUrl } = service
  await drained
  await expect(connect(portOf(adminUrl))).rejects.toThrow('ECONNREFUSED')
  expect(service.adminUrl).toBeUndefined()
  expect(service.counters).toMatchObject({ accepted: 1, open: 0 })
})

test('a drain resets open connections at its end', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }], grace: 50 })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await service.drain()
  await Promise.all([client.closed(), peer.closed()])
  expect(client.error?.code).toBe('ECONNRESET')
  expect(peer.error?.code).toBe('ECONNRESET')
})

test('stop ends everything at once, even during a drain', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }], admin: ADMIN })
  const client = await connect(port)
  client.write(GET)
  await backend.next()
  const { adminUrl } = service
  const drained = service.drain()
  service.stop()
  await Promise.all([drained, client.closed()])
  expect(client.error?.code).toBe('ECONNRESET')
  await expect(connect(portOf(adminUrl))).rejects.toThrow('ECONNREFUSED')
})

test('answers 503 if no backend can be reached', async () => {
  const { port } = await startService({ hooks: { errback: () => undefined } })
  const text = await endWith(port)
  expect(text).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n/)
  expect(withoutDate(text)).not.toBe(answer('503 Service Unavailable', 'NO_DESTINATION'))
  expect(text).toMatch(/\r\nretry-after: \d/)
})
