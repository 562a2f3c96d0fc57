import { once } from 'node:events'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Backend, deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, stalled } from '../../helpers/proxy.ts'
import { certificate } from '../../helpers/tls.ts'
import { turns } from '../../helpers/turns.ts'
import { abandoned, refusal, SOON, stopClocks, Watched } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'

/** A backend whose checks pass (true) or fail as listed; the last outcome repeats. */
async function scripted(script: readonly boolean[]) {
  let checks = 0
  const server = net.createServer((socket) => {
    const isRight = script[Math.min(checks++, script.length - 1)]
    socket.on('error', () => undefined)
    socket.resume()
    socket.end(`HTTP/1.1 ${isRight ? 200 : 500} X\r\n\r\n`)
  })
  const dest = { port: await listen(server), host }
  return { dest, checks: () => checks }
}

/** The events of such checks, each with the number of the check. */
async function told(script: readonly boolean[], rise: number, fall: number): Promise<string[]> {
  const backend = await scripted(script)
  const watched = new Watched(backend.dest, { health: { ...SOON, path: '/', rise, fall } })
  const news: string[] = []
  watched.heard = (one) => news.push(`${backend.checks()} ${one.split(' ')[0]}`)
  // One more check than listed, so that all events have arrived.
  while (backend.checks() <= script.length) await turns(1)
  watched.health.stop()
  return news
}

const script = (text: string) => [...text].map((one) => one === '+')

describe('checks', () => {
  test.each([
    // The last outcome of each list repeats.
    ['++++', 2, 3, []],
    ['-+++', 2, 3, ['1 down', '3 up']],
    ['-+++', 1, 3, ['1 down', '2 up']],
    ['-+-++++', 3, 3, ['1 down', '3 failed', '6 up']],
    ['+--+--+++', 2, 3, ['2 failed', '3 failed', '5 failed', '6 failed']],
    ['+---+++', 2, 3, ['2 failed', '3 failed', '4 down', '6 up']],
    ['+-+++', 2, 1, ['2 down', '4 up']],
    ['+--+-+++', 2, 2, ['2 failed', '3 down', '5 failed', '7 up']],
    ['-++--+++', 2, 2, ['1 down', '3 up', '4 failed', '5 down', '7 up']],
  ])('%s with rise %i and fall %i', async (text, rise, fall, news) => {
    expect(await told(script(text), rise, fall)).toEqual(news)
  })

  test('come faster while the backend is between up and down', async () => {
    stopClocks('setTimeout')
    const script = [true, false, false, false, true, false, true, true, true]
    const gaps: number[] = []
    let last = performance.now()
    let checks = 0
    let over: () => void = () => undefined
    const server = net.createServer((socket) => {
      gaps.push(performance.now() - last)
      last = performance.now()
      socket.on('error', () => undefined).on('close', () => over())
      socket.resume().end(`HTTP/1.1 ${script[checks++] ? 200 : 500} X\r\n\r\n`)
    })
    const health = { path: '/', interval: 60_000, fastInterval: 1_000, rise: 2, fall: 2 }
    const dest = { port: await listen(server), host }
    const watched = new Watched(dest, { health, random: () => 0.5 })
    for (const _ of script) {
      // The next check is planned before the backend sees the connection close.
      const closed = new Promise<void>((resolve) => (over = resolve))
      vi.advanceTimersToNextTimer()
      await closed
    }
    expect(gaps).toEqual([30_000, 60_000, 1_000, 60_000, 60_000, 1_000, 60_000, 1_000, 60_000])
    expect(watched.news.map((one) => one.split(' ')[0])).toEqual(['failed', 'down', 'failed', 'failed', 'up'])
  })

  test('of TCP take a backend down at once if nothing listens, with the cause', async () => {
    const watched = new Watched({ port: await deadPort(), host }, { health: { ...SOON, fall: 3 } })
    expect(watched.health.isUp).toBe(true)
    expect(await watched.first(3)).toEqual(['down ECONNREFUSED', 'failed ECONNREFUSED', 'failed ECONNREFUSED'])
  })

  test('of TCP send nothing, and close', async () => {
    const backend = await Backend.start()
    const watched = new Watched({ port: backend.port, host }, { health: SOON })
    for (let i = 0; i < 3; i++) expect(await (await backend.next()).ended()).toBe('')
    expect(watched.news).toEqual([])
  })

  test('of TCP include TLS', async () => {
    const server = tls.createServer(certificate())
    let sessions = 0
    server.on('secureConnection', () => sessions++)
    server.on('tlsClientError', () => undefined)
    const port = await listen(server)
    const good = new Watched({ port, host, tls: { ca: certificate().cert } }, { health: { ...SOON, rise: 2 } })
    const bad = new Watched({ port, host, tls: true }, { health: SOON })
    expect(await bad.first(2)).toEqual(['down DEPTH_ZERO_SELF_SIGNED_CERT', 'failed DEPTH_ZERO_SELF_SIGNED_CERT'])
    good.health.failed(refusal())
    await good.until(() => good.health.isUp)
    expect(good.news).toEqual(['down ECONNREFUSED', 'up'])
    expect(sessions).toBeGreaterThanOrEqual(2)
  })

  test('time out if the TLS handshake never ends', async () => {
    const backend = await Backend.start()
    const dest = { port: backend.port, host, tls: true }
    const watched = new Watched(dest, { health: { interval: 4, timeout: 20 } })
    expect(await watched.first(2)).toEqual(['down CHECK_TIMEOUT', 'failed CHECK_TIMEOUT'])
    await abandoned(await backend.next())
  })
})

describe('a failed connect of a client', () => {
  test('takes a backend down at once; checks bring it back', async () => {
    const { dest, checks } = await scripted([true])
    const watched = new Watched(dest, { health: { ...SOON, path: '/', rise: 3 } })
    while (checks() < 5) await turns(1)
    watched.health.failed(refusal())
    const before = checks()
    expect(watched.news).toEqual(['down ECONNREFUSED'])
    expect(watched.health.isUp).toBe(false)
    await watched.until(() => watched.health.isUp)
    expect(watched.news).toEqual(['down ECONNREFUSED', 'up'])
    // The cancelled check may have been accepted meanwhile.
    expect([3, 4]).toContain(checks() - before)
  })

  test('cancels the check in progress', async () => {
    const backend = await Backend.start()
    const watched = new Watched({ port: backend.port, host }, { health: { ...SOON, path: '/', rise: 1 } })
    const early = await backend.next()
    await early.until('\r\n\r\n')
    watched.health.failed(refusal())
    await early.closed()
    const late = await backend.next()
    expect(watched.news).toEqual(['down ECONNREFUSED'])
    late.end('HTTP/1.1 200 OK\r\n\r\n')
    await watched.until(() => watched.health.isUp)
  })

  test('changes nothing while the backend is down', async () => {
    stopClocks()
    const watched = new Watched({ port: await deadPort(), host }, { health: { interval: 60_000 } })
    watched.health.failed(refusal())
    expect(watched.delays).toEqual([66_000])
    vi.advanceTimersByTime(1000)
    watched.health.failed(refusal())
    expect(watched.health.retryIn).toBe(65_000)
    expect(watched.news).toEqual(['down ECONNREFUSED'])
  })
})

describe('the time of checks', () => {
  /** When each check of a silent backend begins (ms). */
  async function starts(health: { interval: number; timeout: number }, random: number, until: number) {
    stopClocks('setTimeout')
    const start = Date.now()
    const times: number[] = []
    const connect = () => {
      times.push(Date.now() - start)
      return stalled()
    }
    const watched = new Watched({ connect }, { health, random: () => random })
    for (let ms = 0; ms < until; ms += 10) await vi.advanceTimersByTimeAsync(10)
    return { times, watched }
  }

  test.each([
    [0, [1, 1801, 3601]],
    [0.5, [1000, 3000, 5000]],
    [1, [2000, 4200]],
  ])('is the interval give or take a tenth, from start to start: with %d of the jitter', async (random, times) => {
    const { watched, ...got } = await starts({ interval: 2000, timeout: 1000 }, random, 5300)
    expect(got.times).toEqual(times)
    expect(watched.news.slice(0, 2)).toEqual(['down CHECK_TIMEOUT', 'failed CHECK_TIMEOUT'])
    expect(watched.health.retryIn).toBeDefined()
  })

  test('never overlaps', async () => {
    const { times } = await starts({ interval: 100, timeout: 1000 }, 0.5, 3500)
    expect(times).toEqual([50, 1051, 2052, 3053])
  })
})

describe('many backends', () => {
  const ANSWERING = `
    const server = require('node:http').createServer((_, response) => response.end())
    server.listen(0, '127.0.0.1', () => require('node:worker_threads').parentPort.postMessage(server.address().port))`
  const COUNT = 600
  const MOST = 256

  test('are checked a limited number at a time, each with its full time-out', async () => {
    stopClocks('setTimeout')
    const open = new Set<Duplex>()
    let most = 0
    const connect = () => {
      const stream = stalled()
      open.add(stream)
      most = Math.max(most, [...open].filter(({ destroyed }) => !destroyed).length)
      stream.once('close', () => open.delete(stream))
      return stream
    }
    // All of them at 1000 ms.
    const health = { interval: 2000, timeout: 700 }
    const all = Array.from({ length: COUNT }, () => new Watched({ connect }, { health, random: () => 0.5 }))
    await vi.advanceTimersByTimeAsync(1000)
    expect(open.size).toBe(MOST)
    // A stopped check makes room for others, whether it waits or runs.
    all.at(-1)!.health.stop()
    all[0]!.health.stop()
    await turns(2)
    expect(open.size).toBe(MOST)
    let ended = 0
    for (let waves = 0; waves < 3; waves++) {
      await vi.advanceTimersByTimeAsync(699)
      expect(all.filter(({ news }) => news.length > 0)).toHaveLength(ended)
      await vi.advanceTimersByTimeAsync(1)
      await turns(2)
      ended = all.filter(({ news }) => news.length > 0).length
      expect(ended).toBeGreaterThanOrEqual(Math.min(COUNT - 2, (MOST - 1) * (waves + 1)))
    }
    expect(ended).toBe(COUNT - 2)
    expect(most).toBe(MOST)
  })

  test('that answer while the process is busy are not late', async () => {
    const thread = new Worker(ANSWERING, { eval: true })
    onTestFinished(async () => void (await thread.terminate()))
    const [port] = (await once(thread, 'message')) as [number]
    let checks = 0
    const busy = () => {
      const end = performance.now() + 300
      while (performance.now() < end);
      checks++
    }
    const connect = () => net.connect(port, host).once('connect', () => setImmediate(busy))
    const watched = new Watched({ connect }, { health: { interval: 20, timeout: 200, path: '/' } })
    while (checks < 4) await turns(1)
    expect(watched.news).toEqual([])
  })

  test('stay up if the process is out of descriptors', async () => {
    const connect = () => {
      throw Object.assign(new Error('connect EMFILE'), { code: 'EMFILE' })
    }
    const watched = new Watched({ connect }, { health: SOON })
    expect(await watched.first(5)).toEqual(Array(5).fill('failed EMFILE'))
    expect(watched.health.isUp).toBe(true)
  })
})

describe('stop', () => {
  test('before the first check, and during one, leaves no timer and no connection', async () => {
    stopClocks('setTimeout')
    const connect = vi.fn(stalled)
    const early = new Watched({ connect }, { health: { interval: 2000 } })
    expect(vi.getTimerCount()).toBe(1)
    early.health.stop()
    expect(vi.getTimerCount()).toBe(0)
    const late = new Watched({ connect }, { health: { interval: 2000 } })
    await vi.advanceTimersByTimeAsync(2000)
    expect(connect).toHaveBeenCalledOnce()
    late.health.stop()
    expect(vi.getTimerCount()).toBe(0)
    expect((connect.mock.results[0]!.value as net.Socket).destroyed).toBe(true)
    expect([...early.news, ...late.news]).toEqual([])
  })

  test('between the request and the answer closes the connection', async () => {
    const backend = await Backend.start()
    const watched = new Watched({ port: backend.port, host }, { health: { ...SOON, path: '/' } })
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    watched.health.stop()
    peer.write('HTTP/1.1 500 X\r\n\r\n')
    await peer.closed()
    await turns(3)
    expect(watched.news).toEqual([])
    expect(backend.accepted).toBe(1)
  })

  test.each([
    ['down', '-'],
    ['failed', '+-'],
    ['up', '-++'],
  ])('inside of %s is the end', async (event, text) => {
    const { dest, checks } = await scripted(script(text))
    const watched = new Watched(dest, { health: { ...SOON, path: '/' } })
    watched.heard = (news) => news.startsWith(event) && watched.health.stop()
    await watched.until(() => watched.news.some((one) => one.startsWith(event)))
    const before = { news: watched.news.length, checks: checks() }
    expect(before.checks).toBe(text.length)
    // The checks of another backend show when one of these would have come.
    const other = await scripted([true])
    const clock = new Watched(other.dest, { health: { ...SOON, path: '/' } })
    onTestFinished(() => clock.health.stop())
    while (other.checks() < 5) await turns(1)
    expect({ news: watched.news.length, checks: checks() }).toEqual(before)
  })
})
