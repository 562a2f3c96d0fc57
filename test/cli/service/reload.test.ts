import { existsSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { NameServer } from '../../helpers/dns.ts'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { converse, expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { ADMIN, configOf, get, portOf, STICKY, startBackend, startService } from './support.ts'

expectNoWarnings()

const LOOPBACK = { port: 0, host: '127.0.0.1' }

function savePair(): { cert: string; key: string } {
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  writeFileSync(files.cert, certificate().cert)
  writeFileSync(files.key, certificate().key)
  return files
}

test('no connection fails under traffic', async () => {
  const held = await Backend.start()
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const hooks: Config['hooks'] = {
    lookup: (head) => (head.has('upgrade') ? { port: held.port, host: '127.0.0.1' } : undefined),
  }
  const { service, port } = await startService({ backends: [a], hooks })
  const long = await connect(port)
  long.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n')
  const peer = await held.next()
  await peer.until('\r\n\r\n')

  const homes = new Set<string>()
  let isOver = false
  let count = 0
  const stream = async () => {
    while (!isOver) {
      const { status, id } = await get(port)
      expect(status).toBe(200)
      homes.add(id)
      count++
    }
  }
  const streams = [stream(), stream(), stream(), stream()]
  for (let i = 0; i < 20; i++) {
    const before = count
    await service.reload(
      configOf({
        backends: i % 2 ? [a] : [b],
        sticky: i % 3 ? STICKY : undefined,
        forwarded: i % 4 > 0 && 'x',
        log: i % 5 ? 'text' : 'none',
        listen: i % 2 ? [LOOPBACK] : [LOOPBACK, LOOPBACK],
      }),
    )
    peer.write(`still here ${i};`)
    await long.until(`still here ${i};`)
    while (count < before + 8) await new Promise((resolve) => setImmediate(resolve))
  }
  isOver = true
  await Promise.all(streams)
  expect(homes).toEqual(new Set(['a', 'b']))
  expect(service.addresses).toEqual([`http://127.0.0.1:${port}/`])
  peer.end()
  long.end()
  await long.ended()
  await Promise.all([long.closed(), peer.closed()])
  // The old generations are gone, and their counters are still included.
  expect(service.counters).toMatchObject({ accepted: count + 1, connected: count + 1, open: 0, connectFailures: 0 })
})

test('opens and closes listeners, and keeps one that stays open', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backends = [await startBackend()]
  const { service, port } = await startService({ backends, listen: [LOOPBACK] })
  const early = await connect(port)
  await service.reload(configOf({ backends, listen: [{ path }, LOOPBACK, { port: 0, host: '::1' }] }))
  const [unix, same, six] = service.addresses
  expect([unix, same]).toEqual([`unix:${path}`, `http://127.0.0.1:${port}/`])
  expect((await get({ socketPath: path })).id).toBe('a')
  expect((await get({ port: portOf(six), host: '::1' })).id).toBe('a')
  await service.reload(configOf({ backends, listen: [{ path }] }))
  expect(service.addresses).toEqual([`unix:${path}`])
  await expect(connect(port)).rejects.toThrow('ECONNREFUSED')
  await expect(connect({ port: portOf(six), host: '::1' })).rejects.toThrow('ECONNREFUSED')
  // Accepted before the reload, without a request so far. It is still served.
  early.write(GET)
  expect(await early.until('"id":"a"')).toMatch(/^HTTP\/1.1 200 /)
  service.stop()
  expect(existsSync(path)).toBe(false)
})

test('uses the new config for new connections and the old config for open ones', async () => {
  const { port: held } = await startBackend('held')
  const a = await startBackend()
  const { service, port, logged } = await startService({ backends: [a] })
  const early = await connect(port)
  await get(port)
  const hooks: Config['hooks'] = { lookup: () => ({ port: held, host: '127.0.0.1' }) }
  await service.reload(configOf({ backends: [a], hooks, forwarded: 'x', log: 'text' }))
  early.write(GET)
  expect(await early.until('"id":"a"')).not.toContain('x-forwarded-for')
  expect(await get(port)).toMatchObject({ id: 'held', headers: { 'x-forwarded-for': '127.0.0.1' } })
  await logged.untilCount(1)
  await service.reload(configOf({ backends: [a], log: 'json' }))
  expect((await get(port)).headers).not.toHaveProperty('x-forwarded-for')
  const lines = await logged.untilCount(2)
  expect(JSON.parse(lines[1]!)).toMatchObject({ backend: 'a', outcome: 'ok' })
  await service.reload(configOf({ backends: [a] }))
  await get(port)
  expect(logged.all).toHaveLength(2)
})

test('kept-alive clients get Connection: close with their next response, and the new config afterwards', async () => {
  const backends = [await startBackend()]
  let answer: () => void = () => undefined
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const named = (name: string): Partial<Config> => ({
    backends,
    requests: 'every',
    hooks: {
      lookup: async (head) => {
        head.headers['X-Config'] = name
        if (head.target === '/slow') await answered
        return undefined
      },
    },
  })
  const { service, port } = await startService(named('old'))
  const slow = await connect(port)
  slow.write(GET.replace('/', '/slow'))
  const silent = await connect(port)
  while (service.counters.accepted < 2 || service.counters.bytesRead === 0) await turn()
  await service.reload(configOf(named('new')))
  answer()
  silent.write(GET)
  for (const client of [slow, silent]) {
    expect(await client.ended()).toMatch(/^HTTP\/1.1 200 OK\r\n(?:.*\n)?Connection: close\r\n.*"x-config":"old"/s)
    client.end()
  }
  const later = await connect(port)
  later.write(GET)
  const response = await later.until('"x-config":"new"')
  expect(response).not.toContain('Connection: close')
  while (service.counters.open > 1) await turn()
  expect(service.counters).toMatchObject({ accepted: 3, outcomes: { ok: 2, silent: 0, CLIENT_RESET: 0 } })
})

test('keeps the balancer, with its draining backends', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { service, port, said } = await startService({ backends: [a, b] })
  service.pools.drain('a')
  const c = await startBackend('c')
  await service.reload(configOf({ backends: [a, c] }))
  for (let i = 0; i < 4; i++) expect((await get(port)).id).toBe('c')
  expect(service.pools.backends).toMatchObject([{ id: 'a', draining: true }, { id: 'c' }])
  expect(said.all.toSorted()).toEqual(['backend b was removed', 'backend c was added'])
})

test('turns TLS on and off on a listener that stays', async () => {
  const backends = [await startBackend()]
  const { service, port } = await startService({ backends })
  const secure = { port, host: '127.0.0.1', ca: certificate().cert } as object
  await service.reload(configOf({ backends, tls: [savePair()] }))
  expect(service.addresses).toEqual([`https://127.0.0.1:${port}/`])
  expect((await get(secure, {}, https.request)).id).toBe('a')
  const open = await connectTls(port)
  await service.reload(configOf({ backends }))
  expect((await get(port)).id).toBe('a')
  await expect(get(secure, {}, https.request)).rejects.toThrow()
  open.write(GET)
  expect(await open.until('"id":"a"')).toMatch(/^HTTP\/1.1 200 /)
})

const taken = { port: 0, host: '127.0.0.1' }
const FAILURES: [what: string, given: () => Partial<Config>, message: string | RegExp][] = [
  [
    'an address in use',
    () => ({ listen: [LOOPBACK, LOOPBACK, taken] }),
    /^cannot listen on .*: the address is in use$/,
  ],
  [
    'an option of the balancer',
    () => ({ backends: [{ port: -1 }] }),
    /^backends\[0\]\.port: expected an integer.*, got -1$/,
  ],
  ['a limit', () => ({ limits: { headTimeout: -1 } }), /^headTimeout: expected milliseconds.*, got -1$/],
  ['an invalid network', () => ({ trust: ['x'] }), /^trust: expected an address.*, got "x"$/],
  [
    'a certificate',
    () => ({ tls: [{ cert: '/nowhere', key: '/nowhere' }] }),
    "tls: cannot read '/nowhere': no such file",
  ],
  ['the admin page', () => ({ admin: { listen: taken, token: 'x' } }), /^cannot listen on .*: the address is in use$/],
  ['the admin token', () => ({ admin: { ...ADMIN, token: 'a b' } }), /^token: expected /],
]

test.each(FAILURES)('changes nothing after an error: %s', async (_, given, message) => {
  const server = net.createServer()
  taken.port = await listen(server)
  const path = join(temporaryDirectory(), 'x.sock')
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { service, port, said } = await startService({ backends: [a], admin: ADMIN, log: 'text', forwarded: 'x' })
  const { addresses, adminUrl } = service
  const wrong = configOf({ backends: [b], listen: [{ path }], ...given() })
  const error = await service.reload(wrong).then(
    () => undefined,
    (reason: Error) => reason,
  )
  if (typeof message === 'string') expect(error?.message).toBe(message)
  else expect(error?.message).toMatch(message)
  expect(error?.message).not.toContain('\n')
  expect(service.addresses).toEqual(addresses)
  expect(service.adminUrl).toBe(adminUrl)
  expect((await fetch(new URL('/healthz', adminUrl))).status).toBe(200)
  expect(existsSync(path)).toBe(false)
  expect(await get(port)).toMatchObject({ id: 'a', headers: { 'x-forwarded-for': '127.0.0.1' } })
  expect(said.all).toEqual([])
  // The next reload works.
  await service.reload(configOf({ backends: [b] }))
  expect((await get(port)).id).toBe('b')
})

test('runs simultaneous reloads in order, and the last one wins', async () => {
  const [a, b, c] = [await startBackend('a'), await startBackend('b'), await startBackend('c')]
  const { service, port } = await startService({ backends: [a] })
  const wrong = configOf({ backends: [c], trust: ['x'] })
  const results = await Promise.allSettled([
    service.reload(configOf({ backends: [b] })),
    service.reload(wrong),
    service.reload(configOf({ backends: [c] })),
    service.reload(wrong),
  ])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
  expect((await get(port)).id).toBe('c')
})

test('a slow look-up does not delay the next reload', async () => {
  const names = await NameServer.start()
  names.set('app.test', 'silence')
  const a = await startBackend('a')
  const { service, port } = await startService({ backends: [a] })
  const dns = { servers: [names.address], timeout: 60_000 }
  const slow = service.reload(configOf({ backends: [{ dns: 'app.test', port: 80 }], dns }))
  await names.asked('A app.test')
  await service.reload(configOf({ backends: [a] }))
  expect((await get(port)).id).toBe('a')
  await slow
})

test('explains that an old address blocks its successor', async () => {
  const { service, port } = await startService({ listen: [LOOPBACK], admin: ADMIN })
  const adminPort = portOf(service.adminUrl)
  const hint = 'the address is in use by this process, which opens new addresses before it closes old ones'
  await expect(service.reload(configOf({ listen: [{ port }], admin: ADMIN }))).rejects.toThrow(
    new Error(`cannot listen on *:${port}: ${hint}`),
  )
  const admin = { listen: { port: adminPort, host: '0.0.0.0' }, token: undefined }
  await expect(service.reload(configOf({ listen: [LOOPBACK], admin }))).rejects.toThrow(
    new Error(`cannot listen on 0.0.0.0:${adminPort}: ${hint}`),
  )
})

test('refuses a reload during a drain, and opens nothing in a running one', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }] })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  const underWay = service.reload(configOf({ listen: [{ path }] }))
  const drained = service.drain()
  const ending = new Error('the service is about to end')
  await expect(underWay).rejects.toThrow(ending)
  await expect(service.reload(configOf({}))).rejects.toThrow(ending)
  expect(existsSync(path)).toBe(false)
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
  await drained
  await expect(service.reload(configOf({}))).rejects.toThrow(ending)
})

test('a drain waits for connections of an old config', async () => {
  const backend = await Backend.start()
  const backends = [{ port: backend.port }]
  const { service, port } = await startService({ backends })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await service.reload(configOf({ backends, sticky: STICKY }))
  let isOver = false
  const drained = service.drain().then(() => {
    isOver = true
  })
  // The listener closes after a turn in which no client waits in the kernel.
  await turns(5)
  await expect(connect(port)).rejects.toThrow('ECONNREFUSED')
  expect(isOver).toBe(false)
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
  await drained
})

test('stop ends connections of an old config', async () => {
  const backend = await Backend.start()
  const backends = [{ port: backend.port }]
  const { service, port } = await startService({ backends })
  const client = await connect(port)
  client.write(GET)
  await backend.next()
  await service.reload(configOf({ backends }))
  service.stop()
  await client.closed()
  expect(client.error?.code).toBe('ECONNRESET')
})

test('a client that has left counts until its bytes have arrived', async () => {
  const backend = await Backend.start()
  const backends = [{ port: backend.port }]
  const { service, port } = await startService({ backends })
  await converse(port, backend)
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  peer.socket.pause()
  peer.end(OK)
  await client.ended()
  client.write(Buffer.alloc(8 << 20))
  client.end()
  await service.reload(configOf({ backends }))
  expect(service.counters).toMatchObject({ accepted: 2, open: 1 })
  peer.socket.resume()
  await Promise.all([peer.ended(), client.closed(), peer.closed()])
  expect(peer.received.length).toBe(GET.length + (8 << 20))
  while (service.counters.open > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(service.counters).toMatchObject({ accepted: 2, open: 0, bytesRead: 2 * GET.length + (8 << 20) })
})

test('moves the admin page, changes its token, and turns it off and on', async () => {
  const backends = [await startBackend()]
  const { service } = await startService({ backends, admin: ADMIN })
  const drain = (token: string, url = service.adminUrl) =>
    fetch(new URL('/api/backends/a/drain', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}',
    }).then(({ status }) => status)
  const first = service.adminUrl!
  const [, token = ''] = first.split('#token=')
  expect(token).toMatch(/^[\w-]{24}$/)
  expect(await drain('wrong')).toBe(401)
  expect(await drain(token)).toBe(200)

  // Another token at the same address.
  await service.reload(configOf({ backends, admin: { ...ADMIN, token: 'chosen' } }))
  expect(service.adminUrl).toBe(first.replace(/#.*/, ''))
  expect(await drain(token)).toBe(401)
  expect(await drain('chosen')).toBe(200)

  // The first token again, and another address.
  await service.reload(configOf({ backends, admin: { listen: { port: 0, host: '::1' }, token: undefined } }))
  const moved = service.adminUrl!
  expect(moved).toMatch(/^http:\/\/\[::1\]:\d+\/#token=/)
  expect(moved.split('#token=')[1]).toBe(token)
  expect(await drain(token)).toBe(200)
  await expect(connect(portOf(first))).rejects.toThrow('ECONNREFUSED')

  await service.reload(configOf({ backends }))
  expect(service.adminUrl).toBeUndefined()
  await expect(connect({ port: portOf(moved), host: '::1' })).rejects.toThrow('ECONNREFUSED')
})
