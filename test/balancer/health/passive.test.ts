import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, test, vi } from 'vitest'
import { Backend, deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, stalled } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, makeCertificate } from '../../helpers/tls.ts'
import { turns } from '../../helpers/turns.ts'
import { refusal, stopClocks, Watched } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'

describe('a backend without active checks', () => {
  test('is up until a connect fails, and is down at once', async () => {
    const watched = new Watched({ port: await deadPort(), host })
    expect(watched.health.isUp).toBe(true)
    expect(watched.health.retryIn).toBeUndefined()
    const cause = refusal()
    watched.health.failed(cause)
    expect(watched.health.isUp).toBe(false)
    expect(watched.health.retryIn).toBeDefined()
    expect(watched.news).toEqual(['down ECONNREFUSED'])
    expect(watched.errors[0]).toBe(cause)
  })

  test.each([
    [1, [4, 8, 16, 32, 32, 32]],
    [0.5, [3, 6, 12, 24, 24, 24]],
    [0, [2, 4, 8, 16, 16, 16]],
  ])('is left alone ever longer, with %d of the jitter', async (random, delays) => {
    stopClocks()
    const watched = new Watched({ port: await deadPort(), host }, { random: () => random })
    watched.health.failed(refusal())
    const news = await watched.first(6)
    expect(news).toEqual(['down ECONNREFUSED', ...Array(5).fill('failed ECONNREFUSED')])
    expect(watched.delays.slice(0, 6)).toEqual(delays)
    expect(watched.health.isUp).toBe(false)
  })

  test('goes down once, however many connects fail', async () => {
    const watched = new Watched({ port: await deadPort(), host }, { backoff: { min: 60_000, max: 60_000 } })
    watched.health.failed(refusal())
    const before = watched.health.retryIn!
    watched.health.failed(refusal())
    expect(watched.health.retryIn).toBeLessThanOrEqual(before)
    expect(watched.health.retryIn).toBeGreaterThan(0)
    expect(watched.news).toEqual(['down ECONNREFUSED'])
  })

  test('comes up when it listens again; the probe is closed', async () => {
    const path = join(temporaryDirectory(), 'a.sock')
    const watched = new Watched({ path })
    watched.health.failed(refusal())
    await watched.until(() => watched.news.includes('failed ENOENT'))
    const backend = new Backend()
    await listen(backend.server, { path })
    await watched.until(() => watched.health.isUp)
    expect(watched.news.at(-1)).toBe('up')
    expect(watched.health.retryIn).toBeUndefined()
    const peer = await backend.next()
    expect(await peer.ended()).toBe('')
    expect(backend.accepted).toBe(1)
  })

  test('is not probed while it is up', async () => {
    const backend = await Backend.start()
    const idle = new Watched({ port: backend.port, host })
    const watched = new Watched({ port: backend.port, host })
    for (let i = 1; i <= 3; i++) {
      watched.health.failed(refusal())
      await watched.first(2 * i)
      await (await backend.next()).ended()
    }
    expect(watched.news).toEqual(Array(3).fill(['down ECONNREFUSED', 'up']).flat())
    expect(idle.news).toEqual([])
    expect(backend.accepted).toBe(3)
  })

  test('resets its backoff after staying up longer than the longest wait', async () => {
    stopClocks()
    const { port } = await Backend.start()
    const watched = new Watched({ port, host })
    const again = async (ms: number) => {
      vi.advanceTimersByTime(ms)
      watched.health.failed(refusal())
      const delay = watched.delays.at(-1)
      await watched.until(() => watched.health.isUp)
      return delay
    }
    const ups = [0, 32, 0, 31, 33, 0, 32]
    const delays: unknown[] = []
    for (const ms of ups) delays.push(await again(ms))
    expect(delays).toEqual([4, 8, 16, 32, 4, 8, 16])
  })

  test('whose connect never settles times out', async () => {
    stopClocks('setTimeout')
    const sockets: net.Socket[] = []
    const connect = () => {
      sockets.push(stalled())
      return sockets.at(-1)!
    }
    const watched = new Watched({ connect })
    watched.health.failed(refusal())
    await vi.advanceTimersByTimeAsync(4)
    expect(sockets).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(4999)
    expect(watched.news).toEqual(['down ECONNREFUSED'])
    expect(sockets[0]!.destroyed).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(watched.news).toEqual(['down ECONNREFUSED', 'failed CHECK_TIMEOUT'])
    expect(watched.errors[1]!.message).toBe('CHECK_TIMEOUT: the check took longer than its timeout: 5000 ms')
    expect(sockets[0]!.destroyed).toBe(true)
    expect(watched.delays[1]).toBe(8)
    await vi.advanceTimersByTimeAsync(8)
    expect(sockets).toHaveLength(2)
  })

  test('reports the failure, also if every address failed', async () => {
    const lookup: net.LookupFunction = (_host, options, done) => {
      const addresses = [1, 2].map((i) => ({ address: `127.0.0.${i}`, family: 4 }))
      if (options.all) done(null, addresses)
      else done(null, host, 4)
    }
    const port = await deadPort()
    const watched = new Watched({ connect: () => net.connect({ port, host: 'app.test', lookup }) })
    watched.health.failed(refusal())
    expect((await watched.first(2))[1]).toBe('failed ECONNREFUSED')
    expect(watched.errors[1]).toMatchObject({ message: 'ECONNREFUSED', cause: expect.any(AggregateError) })
  })

  test.each([
    [() => Promise.reject(new Error('never')), /^never$/],
    [
      () => {
        throw new Error('no luck')
      },
      /^no luck$/,
    ],
    [
      () => {
        throw 'text'
      },
      /^text$/,
    ],
  ])('that cannot even be tried stays down: %o', async (connect, message) => {
    const watched = new Watched({ connect })
    watched.health.failed(refusal())
    await watched.first(3)
    expect(watched.errors[1]!.message).toMatch(message)
    expect(watched.errors[2]!.message).toMatch(message)
    expect(watched.health.isUp).toBe(false)
  })
})

describe('a backend over TLS', () => {
  async function start() {
    const server = tls.createServer(certificate())
    server.on('tlsClientError', () => undefined)
    const port = await listen(server)
    return { port, host }
  }

  test('is up after the handshake', async () => {
    const watched = new Watched({ ...(await start()), tls: { ca: certificate().cert } })
    watched.health.failed(refusal())
    await watched.until(() => watched.health.isUp)
    expect(watched.news).toEqual(['down ECONNREFUSED', 'up'])
  })

  test('with an untrusted certificate is down', async () => {
    const dest = await start()
    for (const options of [true, { ca: makeCertificate().cert }]) {
      const watched = new Watched({ ...dest, tls: options })
      watched.health.failed(refusal())
      const code = 'DEPTH_ZERO_SELF_SIGNED_CERT'
      expect(await watched.first(3)).toEqual(['down ECONNREFUSED', `failed ${code}`, `failed ${code}`])
    }
  })

  test('that speaks no TLS is down', async () => {
    const server = net.createServer((socket) => socket.on('error', () => undefined).end('hello'))
    const watched = new Watched({ port: await listen(server), host, tls: true })
    watched.health.failed(refusal())
    expect((await watched.first(2))[1]).toMatch(/^failed (wrong version number \(ERR_SSL_|EPROTO|ECONNRESET)/)
    expect(watched.health.isUp).toBe(false)
  })
})

describe('stop', () => {
  test('cancels the wait', async () => {
    stopClocks('setTimeout')
    const connect = vi.fn(stalled)
    const { health, news } = new Watched({ connect })
    health.failed(refusal())
    health.stop()
    expect(vi.getTimerCount()).toBe(0)
    expect(health.retryIn).toBeUndefined()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(connect).not.toHaveBeenCalled()
    expect(news).toEqual(['down ECONNREFUSED'])
  })

  test('cancels the connect', async () => {
    stopClocks('setTimeout')
    const connect = vi.fn(stalled)
    const { health, news } = new Watched({ connect })
    health.failed(refusal())
    await vi.advanceTimersByTimeAsync(4)
    const socket: net.Socket = connect.mock.results[0]!.value
    expect(socket.destroyed).toBe(false)
    health.stop()
    expect(socket.destroyed).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(100_000)
    expect(connect).toHaveBeenCalledOnce()
    expect(news).toEqual(['down ECONNREFUSED'])
  })

  test.each(['down', 'failed', 'up'])('inside of %s ends it', async (event) => {
    stopClocks('setTimeout')
    const backend = await Backend.start()
    const port = event === 'up' ? backend.port : await deadPort()
    const watched = new Watched({ port, host })
    watched.heard = (news) => news.startsWith(event) && watched.health.stop()
    watched.health.failed(refusal())
    if (event !== 'down') {
      vi.advanceTimersByTime(4)
      await watched.until(() => watched.news.length === 2)
    }
    expect(watched.news.at(-1)).toMatch(new RegExp(`^${event}`))
    expect(vi.getTimerCount()).toBe(0)
    watched.health.failed(refusal())
    expect(vi.getTimerCount()).toBe(0)
    const told = watched.news.length
    await turns(3)
    expect(watched.news).toHaveLength(told)
  })

  test('may be called before anything, and twice', () => {
    const { health, news } = new Watched({ port: 1, host })
    health.stop()
    health.stop()
    health.failed(refusal())
    expect(health.isUp).toBe(true)
    expect(news).toEqual([])
  })
})

test('an exception in an event changes nothing else', async () => {
  const { port } = await Backend.start()
  const watched = new Watched({ port, host })
  watched.heard = () => {
    throw new Error('listener')
  }
  expect(() => watched.health.failed(refusal())).toThrow('listener')
  expect(watched.health.isUp).toBe(false)
  watched.heard = () => undefined
  await watched.until(() => watched.health.isUp)
  expect(watched.news).toEqual(['down ECONNREFUSED', 'up'])
})

test('the wait for a probe, and the probe, keep no process alive', async () => {
  const held = (name: string) => process.getActiveResourcesInfo().filter((one) => one === name).length
  const backend = await Backend.start()
  // Connections of the previous test are closed by now.
  await turns(3)
  const timers = held('Timeout')
  const waiting = new Watched({ port: backend.port, host }, { backoff: { min: 60_000, max: 60_000 } })
  waiting.health.failed(refusal())
  expect(held('Timeout')).toBe(timers)
  const sockets = held('TCPSocketWrap')
  const probing = new Watched({ port: backend.port, host, tls: true })
  probing.health.failed(refusal())
  await (await backend.next()).untilLength(1)
  // Accepted connections are referenced, connected ones are not.
  expect(held('TCPSocketWrap')).toBe(sockets + 1)
  expect(probing.news).toEqual(['down ECONNREFUSED'])
})
