import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Health, validateHealth } from '../../src/balancer/health/index.ts'
import { Race, type RaceOptions } from '../../src/proxy/race.ts'
import { blackHole, sleeper } from '../helpers/black-hole.ts'
import { deadPort, listen } from '../helpers/net.ts'
import { ask, expectNoWarnings, stalled, startProxy, Watch } from '../helpers/proxy.ts'
import { certificate } from '../helpers/tls.ts'

expectNoWarnings()

/** Short enough to show that a race does not wait for the time-out of an attempt. */
const SOON = 5000

const answering = (socket: net.Socket) => {
  socket.on('error', () => undefined)
  socket.once('data', (bytes) => socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine: ${bytes}`))
}

/** Listens at ::1 on a port that another server has at 127.0.0.1. */
const besides = async (port: number, server = net.createServer(answering)) =>
  await listen(server, { port, host: '::1' })

describe('a host with two addresses', () => {
  test('is reached at the second after 250 ms if the first is silent', async () => {
    const port = await blackHole()
    await besides(port)
    const start = performance.now()
    const proxy = await startProxy({ lookup: () => ({ port }), connectTimeout: 30_000 })
    expect(await ask(proxy.port)).toMatch(/^HTTP\/1.1 200 OK\r\n.*fine/s)
    const elapsed = performance.now() - start
    expect(elapsed).toBeGreaterThan(200)
    expect(elapsed).toBeLessThan(SOON)
  })

  test('is reached at the second at once if the first refuses', async () => {
    const port = await deadPort()
    await besides(port)
    const proxy = await startProxy(() => ({ port, host: 'LocalHost' }))
    expect(await ask(proxy.port)).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  })

  test('is reached at a slow first if the second refuses', async () => {
    const { port, wake } = await sleeper()
    const proxy = await startProxy({ lookup: () => ({ port }), connectTimeout: 30_000 })
    // Later than the second's refusal.
    setTimeout(wake, 700)
    expect(await ask(proxy.port)).toMatch(/^HTTP\/1.1 200 OK\r\n.*late$/s)
  })

  test('is reached over TLS, after a PROXY header, and with both', async () => {
    const port = await blackHole()
    await besides(port)
    const header = await startProxy(() => ({ port, sendProxy: 1 }))
    expect(await ask(header.port)).toMatch(/fine: PROXY TCP4 127\.0\.0\.1 .*\r\nGET \//s)
    const secure = tls.createServer({ ...certificate() }, answering)
    const other = await blackHole()
    await besides(other, secure)
    const { port: both } = await startProxy(() => ({ port: other, tls: { ca: certificate().cert } }))
    expect(await ask(both)).toMatch(/fine: GET \//)
  })

  test('passes a health check', async () => {
    const port = await blackHole()
    await besides(port)
    const settings = validateHealth({ path: '/', interval: 10, timeout: 20_000, rise: 1 })
    const up = new Promise<void>((resolve) => {
      const events = { up: resolve, down: () => undefined }
      const health = new Health({ port }, settings, { min: 1, max: 1 }, events)
      onTestFinished(() => health.stop())
      health.failed(new Error('down'))
    })
    await up
  })

  test('fails with the reasons of both', async () => {
    const watch = new Watch()
    const port = await deadPort()
    const proxy = await startProxy(() => ({ port }))
    expect(await ask(proxy.port)).toMatch(/^HTTP\/1.1 502 /)
    const [{ error } = { error: undefined }] = watch.all('error')
    expect(error?.message).toContain(`connect ECONNREFUSED 127.0.0.1:${port}; connect ECONNREFUSED ::1:${port}`)
    expect(error?.cause).toMatchObject({ code: 'ECONNREFUSED', errors: [{ code: 'ECONNREFUSED' }, { port }] })
  })
})

/** A race over these addresses, with the sockets that `open` returns, in order. */
function race(addresses: readonly string[], open: (address: string) => net.Socket, more: Partial<RaceOptions> = {}) {
  const tried: string[] = []
  const sockets: net.Socket[] = []
  const lookup: net.LookupFunction = (_host, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: net.isIP(address) })),
    )
  const connect = (address: string) => {
    tried.push(address)
    const socket = open(address)
    sockets.push(socket)
    onTestFinished(() => void socket.destroy())
    return socket
  }
  let stop: () => void = () => undefined
  const outcome = new Promise<net.Socket>((resolve, reject) => {
    const one = new Race('app.test', { lookup, connect, ...more }, { connected: resolve, failed: reject })
    stop = () => one.stop()
  })
  outcome.catch(() => undefined)
  return { tried, sockets, outcome, stop }
}

const failing = (code: string) => {
  const socket = new net.Socket()
  process.nextTick(() => socket.destroy(Object.assign(new Error(`connect ${code}`), { code })))
  return socket
}

describe('a race', () => {
  test('alternates between families, starting with the first', async () => {
    const { tried, outcome } = race(['::1', '::2', '::3', '127.0.0.1', '127.0.0.2'], () => failing('ECONNREFUSED'))
    await expect(outcome).rejects.toMatchObject({ code: 'ECONNREFUSED', errors: Array(5).fill(expect.any(Error)) })
    expect(tried).toEqual(['::1', '127.0.0.1', '::2', '127.0.0.2', '::3'])
  })

  test('is won by the first connection, and destroys the others', async () => {
    const port = await listen(net.createServer())
    const { sockets, outcome } = race(['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'], (address) =>
      address === '127.0.0.3' ? net.connect(port, '127.0.0.1') : stalled(),
    )
    expect(await outcome).toBe(sockets[2])
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true, false])
  })

  test('has at most eight parallel attempts', async () => {
    const addresses = Array.from({ length: 12 }, (_, i) => `127.0.0.${i + 1}`)
    const { tried, sockets, stop } = race(addresses, stalled)
    while (tried.length < 8) await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(tried).toHaveLength(8)
    sockets[0]!.destroy(new Error('refused'))
    await new Promise((resolve) => sockets[0]!.once('close', resolve))
    expect(tried).toHaveLength(9)
    stop()
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
  })

  test('ends if this machine is out of descriptors, but not if it lacks a family', async () => {
    const exhausted = race(['127.0.0.1', '127.0.0.2'], () => failing('EMFILE'))
    await expect(exhausted.outcome).rejects.toMatchObject({ code: 'EMFILE' })
    expect(exhausted.tried).toEqual(['127.0.0.1'])
    const port = await listen(net.createServer())
    const other = race(['::1', '127.0.0.1'], (address) =>
      address === '::1' ? failing('EADDRNOTAVAIL') : net.connect(port, address),
    )
    expect(await other.outcome).toBe(other.sockets[1])
    const both = race(['::1', '127.0.0.1'], (address) => failing(address === '::1' ? 'EADDRNOTAVAIL' : 'ECONNREFUSED'))
    await expect(both.outcome).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('fails with the error of its only address', async () => {
    const cause = await race(['127.0.0.1'], () => failing('ECONNREFUSED')).outcome.catch((error) => error)
    expect(cause).not.toBeInstanceOf(AggregateError)
    expect(cause).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test.each<[string, net.LookupFunction, unknown]>([
    ['fails', (_host, _options, done) => done(new Error('no such host'), []), { message: 'no such host' }],
    [
      'throws',
      () => {
        throw new Error('thrown')
      },
      { message: 'thrown' },
    ],
    ['finds nothing', (_host, _options, done) => done(null, []), { message: 'the name has no address' }],
    [
      'calls back with null',
      (_host, _options, done) => setImmediate(done, null, null as never),
      { message: 'the name has no address' },
    ],
    [
      'returns invalid addresses',
      (_host, _options, done) => setImmediate(done, null, [null, undefined, 5, {}, { address: Symbol('a') }] as never),
      { message: 'the name has no address' },
    ],
    [
      'returns an object that throws when it is read',
      (_host, _options, done) => {
        const found = {
          get address(): string {
            throw new Error('thrown late')
          },
        }
        setImmediate(done, null, [found] as never)
      },
      { message: 'thrown late' },
    ],
  ])('fails if its look-up %s', async (_, lookup, error) => {
    await expect(race([], stalled, { lookup }).outcome).rejects.toMatchObject(error as object)
  })

  test('accepts a look-up with a single address', async () => {
    const port = await listen(net.createServer())
    const lookup: net.LookupFunction = (_host, _options, done) => done(null, '127.0.0.1', 4)
    const { tried, outcome } = race([], (address) => net.connect(port, address), { lookup })
    await outcome
    expect(tried).toEqual(['127.0.0.1'])
  })

  test('uses the first answer of a look-up that calls back twice', async () => {
    const port = await listen(net.createServer())
    const lookup: net.LookupFunction = (_host, _options, done) => {
      done(null, '127.0.0.1', 4)
      done(null, '127.0.0.2', 4)
    }
    const { tried, outcome } = race([], (address) => net.connect(port, address), { lookup })
    await outcome
    expect(tried).toEqual(['127.0.0.1'])
  })

  test('refuses a socket that connected to itself', async () => {
    const server = net.createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    // The system may do this by chance for any closed port that it gives to clients.
    const itself = (host: string) => net.connect({ port, host, localPort: port })
    for (const more of [{}, { port }]) {
      const { outcome } = race(['127.0.0.1'], itself, more)
      await expect(outcome).rejects.toThrow('connected to itself: nobody listens there')
    }
  })

  test.runIf(process.platform === 'linux')('asks for no address where the port is not one of those', async () => {
    const port = await listen(net.createServer())
    const asked: string[] = []
    const watched = (host: string) => {
      const socket = net.connect({ port, host })
      for (const name of ['localPort', 'localAddress', 'remotePort', 'remoteAddress']) {
        Object.defineProperty(socket, name, { get: () => void asked.push(name) })
      }
      return socket
    }
    await race(['127.0.0.1'], watched, { port: 80 }).outcome
    expect(asked).toEqual([])
    await race(['127.0.0.1'], watched, { port }).outcome
    expect(asked).toEqual(['localPort'])
  })

  test('calls no event after stop', async () => {
    let answer: () => void = () => undefined
    const lookup: net.LookupFunction = (_host, _options, done) => {
      answer = () => done(null, '127.0.0.1', 4)
    }
    const { tried, stop } = race([], stalled, { lookup })
    stop()
    answer()
    expect(tried).toEqual([])
  })
})
