import net from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { HealthOptions } from '../../../src/balancer/health/index.ts'
import { Backend, listen, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'
import { abandoned, refusal, SOON, Watched } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const OK = 'HTTP/1.1 200 OK\r\n\r\n'

const requestFor = (path: string, host: string) =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: badass-health\r\nConnection: close\r\n\r\n`

/** A backend and its health checks. */
async function start(health: HealthOptions = {}) {
  const backend = await Backend.start()
  const watched = new Watched({ port: backend.port, host }, { health: { type: 'http', ...SOON, ...health } })
  return { backend, watched }
}

/** The outcome of the first check of a backend that behaves like this: empty if it passes. */
async function firstCheck(play: (peer: Peer) => void, health: HealthOptions = {}) {
  const { backend, watched } = await start(health)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  play(peer)
  // The events of this check come before the next check.
  const next = await backend.next()
  watched.health.stop()
  await Promise.all([abandoned(peer), abandoned(next)])
  return watched
}

describe('the request of a check', () => {
  test.each([
    [{}, '/', 'PORT'],
    [{ path: '/up?full=1' }, '/up?full=1', 'PORT'],
    [{ path: '/up', host: 'app.test' }, '/up', 'app.test'],
  ])('with %j', async (health, path, name) => {
    const { backend } = await start(health)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end(OK)
    await peer.closed()
    expect(peer.text).toBe(requestFor(path, name === 'PORT' ? `${host}:${backend.port}` : name))
  })

  test('has a Host field with [IPv6], and localhost for a Unix socket', async () => {
    const six = new Backend()
    const port = await listen(six.server, { port: 0, host: '::1' })
    const unix = new Backend()
    const path = join(temporaryDirectory(), 'a.sock')
    await listen(unix.server, { path })
    new Watched({ port, host: '::1' }, { health: { type: 'http', ...SOON } })
    new Watched({ path }, { health: { type: 'http', ...SOON } })
    expect(await (await six.next()).until('\r\n\r\n')).toBe(requestFor('/', `[::1]:${port}`))
    expect(await (await unix.next()).until('\r\n\r\n')).toBe(requestFor('/', 'localhost'))
  })

  test('has the given fields after its own', async () => {
    const { backend } = await start({
      path: '/',
      headers: { 'User-Agent': 'me', Authorization: 'Basic eDp5', 'X-L': 'é' },
    })
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    const own = `Host: ${host}:${backend.port}\r\nConnection: close\r\n`
    expect(peer.text).toBe(`GET / HTTP/1.1\r\n${own}User-Agent: me\r\nAuthorization: Basic eDp5\r\nX-L: é\r\n\r\n`)
  })

  test('goes to another port, without TLS and PROXY header, of localhost for a Unix socket', async () => {
    const backend = await Backend.start()
    const health = { type: 'http', ...SOON, port: backend.port } as const
    const path = join(temporaryDirectory(), 'a.sock')
    for (const dest of [
      { port: 1, host, tls: true, sendProxy: 2 as const },
      { path, tls: true },
    ]) {
      const watched = new Watched(dest, { health })
      const peer = await backend.next()
      expect(await peer.until('\r\n\r\n')).toBe(
        requestFor('/', `${'path' in dest ? 'localhost' : host}:${backend.port}`),
      )
      watched.health.stop()
      await abandoned(peer)
    }
    const named = new Watched({ port: 1, host, hostHeader: 'app.test' }, { health })
    const peer = await backend.next()
    expect(await peer.until('\r\n\r\n')).toBe(requestFor('/', 'app.test'))
    named.health.stop()
    await abandoned(peer)
  })

  test('goes over TLS', async () => {
    const backend = await Backend.start((options, accept) => tls.createServer({ ...certificate(), ...options }, accept))
    const dest = { port: backend.port, host, tls: { ca: certificate().cert } }
    const watched = new Watched(dest, { health: { type: 'http', ...SOON, rise: 1 } })
    watched.health.failed(refusal())
    const peer = await backend.next()
    expect(await peer.until('\r\n\r\n')).toBe(requestFor('/', `${host}:${backend.port}`))
    peer.write(OK)
    await watched.until(() => watched.health.isUp)
    await abandoned(peer)
  })
})

describe('the status of the answer', () => {
  test.each<[HealthOptions['status'], number[], number[]]>([
    [undefined, [200, 204, 302, 399], [400, 401, 404, 500, 503, 600, 999]],
    [204, [204], [200, 205]],
    [
      [200, 404],
      [200, 404],
      [201, 403, 503],
    ],
    ['200-299,401', [200, 250, 299, 401], [300, 400, 402]],
  ])('where %j is expected', async (status, right, wrong) => {
    for (const one of right) {
      const { news } = await firstCheck((peer) => peer.end(`HTTP/1.1 ${one} X\r\n\r\n`), { status })
      expect([one, news]).toEqual([one, []])
    }
    for (const one of wrong) {
      const { news } = await firstCheck((peer) => peer.end(`HTTP/1.1 ${one} X\r\n\r\n`), { status })
      expect([one, news]).toEqual([one, ['down CHECK_BAD_STATUS']])
    }
  })

  test('is reported if unexpected', async () => {
    const { errors } = await firstCheck((peer) => peer.end('HTTP/1.1 503 X\r\n\r\n'), { status: '200-299,401' })
    expect(errors.map(({ name, message }) => `${name} ${message}`)).toEqual([
      'CheckError CHECK_BAD_STATUS: the response has another status than is expected: expected 200-299,401, got 503',
    ])
  })

  test('is the final one', async () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    expect((await firstCheck((peer) => peer.end(interim + interim + OK))).news).toEqual([])
    expect((await firstCheck((peer) => peer.end(`${interim}HTTP/1.1 500 X\r\n\r\n`))).news).toEqual([
      'down CHECK_BAD_STATUS',
    ])
    expect((await firstCheck((peer) => peer.end(interim))).news).toEqual(['down CHECK_ENDED'])
    expect((await firstCheck((peer) => peer.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'))).news).toEqual([
      'down CHECK_BAD_STATUS',
    ])
  })
})

describe('a response', () => {
  test('ends with its head: the connection is closed', async () => {
    const { backend, watched } = await start()
    const body = Buffer.alloc(65_536, 'x')
    for (let i = 0; i < 3; i++) {
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      const more = () => {
        while (peer.socket.writable && peer.socket.write(body));
      }
      peer.socket.on('drain', more)
      peer.write(OK)
      more()
      await abandoned(peer)
    }
    expect(watched.news).toEqual([])
  })

  test('may come in pieces', async () => {
    const play = async (peer: Peer) => {
      for (const byte of OK) await peer.flush(byte)
    }
    expect((await firstCheck((peer) => void play(peer))).news).toEqual([])
  })

  test('may be HTTP/1.0', async () => {
    expect((await firstCheck((peer) => peer.end('HTTP/1.0 200 OK\r\n\r\n'))).news).toEqual([])
  })

  test.each([
    ['BAD_VERSION', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['SPACE_BEFORE_COLON', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
    ['NUL', '\0\0\0\0'],
    ['HEAD_TOO_LARGE', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(40_000)}`],
    ['TOO_MANY_FIELDS', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(1_001)}\r\n`],
  ])('with a bad head is refused: %s', async (code, text) => {
    const { news, errors } = await firstCheck((peer) => peer.write(text))
    expect(news).toEqual(['down CHECK_BAD_HEAD'])
    expect(errors[0]!.cause).toMatchObject({ name: 'HeadError', code })
    expect(errors[0]!.message).toBe(
      `CHECK_BAD_HEAD: the response head was refused: ${(errors[0]!.cause as Error).message}`,
    )
  })

  test('fails if it is cut short', async () => {
    const { news, errors } = await firstCheck((peer) => peer.end(OK.slice(0, -1)))
    expect(news).toEqual(['down CHECK_ENDED'])
    expect(errors[0]!.message).toBe('CHECK_ENDED: the backend ended before the check did')
    expect((await firstCheck((peer) => peer.end())).news).toEqual(['down CHECK_ENDED'])
    expect((await firstCheck((peer) => peer.reset())).news).toEqual(['down ECONNRESET'])
  })

  test('fails if it is late or dribbles', async () => {
    const health = { timeout: 40 }
    const silent = await firstCheck(() => undefined, health)
    expect(silent.news).toEqual(['down CHECK_TIMEOUT'])
    expect(silent.errors[0]!.message).toBe('CHECK_TIMEOUT: the check took longer than its timeout: 40 ms')
    const dribble = (peer: Peer) => {
      peer.write('HTTP/1.1 200 OK\r\nA: ')
      const timer = setInterval(() => peer.write('b'), 1)
      peer.socket.on('close', () => clearInterval(timer))
    }
    const { news } = await firstCheck(dribble, health)
    expect(news).toEqual(['down CHECK_TIMEOUT'])
  })

  test('may come from any Duplex', async () => {
    const connect = () =>
      new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          if (String(chunk).endsWith('\r\n\r\n')) this.push(OK)
          done()
        },
      })
    const watched = new Watched({ connect }, { health: { type: 'http', ...SOON, rise: 2 } })
    watched.health.failed(refusal())
    expect(await watched.first(2)).toEqual(['down ECONNREFUSED', 'up'])
  })
})

test('a backend that fails every check does not accumulate connections', async () => {
  const open = new Set<net.Socket>()
  let accepted = 0
  let most = 0
  const server = net.createServer((socket) => {
    accepted++
    open.add(socket.on('close', () => open.delete(socket)).on('error', () => undefined))
    most = Math.max(most, open.size)
    socket.write('HTTP/1.1 500 X\r\n\r\n')
  })
  const port = await listen(server)
  const watched = new Watched({ port, host }, { health: { type: 'http', ...SOON } })
  await watched.first(10)
  watched.health.stop()
  await Promise.all([...open].map((socket) => new Promise((resolve) => socket.on('close', resolve))))
  expect(accepted).toBeGreaterThanOrEqual(10)
  expect(most).toBeLessThanOrEqual(2)
  expect(open.size).toBe(0)
})
