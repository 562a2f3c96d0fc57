import { describe, expect, test, vi } from 'vitest'
import type { Dest, ProxyOptions } from '../../src/index.ts'
import { Backend, connect } from '../helpers/net.ts'
import { answer, ask, expectNoWarnings, GET, OK, stalled, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { turn } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

/** A proxy to a backend that the test controls. */
async function arrange(options: Partial<ProxyOptions>) {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port, server } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), ...options })
  const client = await connect(port)
  const meet = async (request = GET) => {
    client.write(request)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    return peer
  }
  return { watch, port, server, client, meet, backend }
}

describe('a head over a limit is answered with 431', () => {
  const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(60)}\r\n\r\n`
  const EDGES: [name: string, limits: Partial<ProxyOptions>, code: string | undefined][] = [
    ['maxHeadBytes at its length', { maxHeadBytes: head.length }, undefined],
    ['maxHeadBytes one below', { maxHeadBytes: head.length - 1 }, 'HEAD_TOO_LARGE'],
    ['maxFields at its count', { maxFields: 2 }, undefined],
    ['maxFields one below', { maxFields: 1 }, 'TOO_MANY_FIELDS'],
  ]
  for (const [name, limits, code] of EDGES) {
    for (const pieces of [[head], [...head]]) {
      test(`${name}, in ${pieces.length} pieces`, async () => {
        const { watch, client, server, backend } = await arrange(limits)
        if (code === undefined) {
          for (const piece of pieces) await client.flush(piece)
          expect(await (await backend.next()).until('\r\n\r\n')).toBe(head)
          return
        }
        for (const piece of pieces) client.write(piece)
        expect(withoutDate(await client.ended())).toBe(answer('431 Request Header Fields Too Large', code))
        expect(watch.all('error')[0]!.error).toMatchObject({ code: 'BAD_HEAD', phase: 'head', status: 431 })
        expect(server.counters.badHeads).toBe(1)
      })
    }
  }
})

describe('headTimeout', () => {
  for (const sent of ['', 'GET / HT']) {
    test(`answers 408 to a client that has sent ${JSON.stringify(sent)}`, async () => {
      const { watch, client, server } = await arrange({ headTimeout: 30 })
      client.write(sent)
      expect(withoutDate(await client.ended())).toBe(answer('408 Request Timeout', 'HEAD_TIMEOUT'))
      expect(watch.all('error')[0]!.error).toMatchObject({ code: 'HEAD_TIMEOUT', phase: 'head', status: 408 })
      expect(server.counters).toMatchObject({ badHeads: 0, open: 1 })
      client.end()
      await expect.poll(() => server.counters.outcomes.HEAD_TIMEOUT).toBe(1)
    })
  }

  test('runs from accept, even if the client keeps sending', async () => {
    const { client } = await arrange({ headTimeout: 50, maxHeadBytes: 1 << 30 })
    client.write('GET / HTTP/1.1\r\nX: ')
    while (!client.hasEnded) {
      client.write('x')
      await turn()
    }
    expect(withoutDate(client.text)).toBe(answer('408 Request Timeout', 'HEAD_TIMEOUT'))
  })

  for (const late of ['/1.1\r\nHost: a\r\n\r\n', '\x00', '/1.1\r\n']) {
    test(`drops what follows the 408: ${JSON.stringify(late)}`, async () => {
      const { watch, client, backend } = await arrange({ headTimeout: 20 })
      client.write('GET / HTTP')
      const text = await client.ended()
      await client.flush(late)
      client.end()
      await watch.until('close')
      expect(client.text).toBe(text)
      expect(watch.codes).toEqual(['HEAD_TIMEOUT'])
      expect(backend.accepted).toBe(0)
    })
  }

  test('is off with 0, and ends with the head', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const off = await arrange({ headTimeout: 0 })
      off.client.write('GET / HT')
      await off.watch.until('open')
      expect(vi.getTimerCount()).toBe(0)
      const slow = await arrange({ headTimeout: 10, lookup: () => new Promise(() => undefined) })
      slow.client.write(GET)
      const { connection } = await slow.watch.until('open')
      while (connection.state !== 'Routing') await turn()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('connectTimeout', () => {
  test('answers 504 and destroys the socket', async () => {
    const watch = new Watch()
    const socket = stalled()
    const { port, server } = await startProxy({ lookup: () => ({ connect: () => socket }), connectTimeout: 20 })
    expect(withoutDate(await ask(port))).toBe(answer('504 Gateway Timeout', 'CONNECT_TIMEOUT'))
    expect(watch.all('error')[0]!.error).toMatchObject({ code: 'CONNECT_TIMEOUT', phase: 'connect', status: 504 })
    expect(socket.destroyed).toBe(true)
    // A Node socket would never emit this.
    socket.emit('connect')
    expect(server.counters).toMatchObject({ connectFailures: 1, connected: 0 })
  })

  test('applies to each Dest, and calls errback', async () => {
    const backend = await Backend.start()
    const tries: Dest[] = [{ connect: stalled }, { connect: stalled }, { port: backend.port, host }]
    const codes: string[] = []
    const { port } = await startProxy<Dest>({
      lookup: () => tries.shift(),
      errback: ({ code }) => {
        codes.push(code)
        return tries.shift()
      },
      connectTimeout: 20,
    })
    const client = await connect(port)
    client.write(GET)
    await (await backend.next()).until('\r\n\r\n')
    expect(codes).toEqual(['CONNECT_TIMEOUT', 'CONNECT_TIMEOUT'])
  })

  test('is off with 0, and ends when connected', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const off = await arrange({ headTimeout: 0, connectTimeout: 0, lookup: () => ({ connect: stalled }) })
      off.client.write(GET)
      await off.watch.until('routed')
      expect(vi.getTimerCount()).toBe(0)
      const { meet } = await arrange({ headTimeout: 0, connectTimeout: 10 })
      await meet()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

/** Turns off the time-outs that run by default before a backend is connected. */
const NO_OTHERS = { headTimeout: 0, connectTimeout: 0 }

describe('responseHeadTimeout', () => {
  for (const [mode, modify] of [
    ['without modify', undefined],
    ['with modify', () => undefined],
  ] as const) {
    test(`answers 504 and resets the backend, ${mode}`, async () => {
      const { watch, client, meet } = await arrange({ modify, responseHeadTimeout: 30 })
      const peer = await meet()
      expect(withoutDate(await client.ended())).toBe(answer('504 Gateway Timeout', 'RESPONSE_HEAD_TIMEOUT'))
      await peer.closed()
      expect(peer.error?.code).toBe('ECONNRESET')
      expect(watch.all('error')[0]!.error).toMatchObject({ phase: 'response', status: 504 })
      expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
    })

    test(`restarts with the bytes of the client, ${mode}`, async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const { client, meet, watch } = await arrange({ modify, headTimeout: 0, responseHeadTimeout: 100 })
        const peer = await meet()
        for (let i = 1; i <= 5; i++) {
          vi.advanceTimersByTime(60)
          client.write('x')
          await peer.untilLength(GET.length + i)
        }
        expect(watch.codes).toEqual([])
        vi.advanceTimersByTime(100)
        expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
      } finally {
        vi.useRealTimers()
      }
    })

    test(`ends with the response head, ${mode}`, async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const { client, meet } = await arrange({ modify, ...NO_OTHERS, responseHeadTimeout: 10 })
        const peer = await meet()
        peer.write(OK)
        await client.until('ok')
        expect(vi.getTimerCount()).toBe(0)
      } finally {
        vi.useRealTimers()
      }
    })
  }

  test('does not replace idleTimeout if that is shorter', async () => {
    const patient = await arrange({ modify: () => {}, responseHeadTimeout: 60_000, idleTimeout: 20 })
    await patient.meet()
    await expect(patient.client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(patient.watch.codes).toContain('IDLE_TIMEOUT')
    const hasty = await arrange({ modify: () => {}, responseHeadTimeout: 20, idleTimeout: 60_000 })
    await hasty.meet()
    expect(await hasty.client.ended()).toMatch(/^HTTP\/1\.1 504 /)
  })

  test('does not run during modify', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      let go: () => void = () => undefined
      const modify = () => new Promise<void>((resolve) => (go = resolve))
      const { client, meet, watch } = await arrange({ modify, ...NO_OTHERS, responseHeadTimeout: 10, idleTimeout: 10 })
      const peer = await meet()
      peer.write(OK)
      const { connection } = watch.all('connected')[0]!
      while (connection.state !== 'Modifying') await turn()
      client.end()
      await peer.ended()
      expect(vi.getTimerCount()).toBe(0)
      go()
      await client.until('ok')
    } finally {
      vi.useRealTimers()
    }
  })

  test('restarts with an interim head', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { client, meet, watch } = await arrange({ modify: () => {}, headTimeout: 0, responseHeadTimeout: 100 })
      const peer = await meet()
      const interim = 'HTTP/1.1 102 \r\n\r\n'
      for (let i = 1; i <= 5; i++) {
        vi.advanceTimersByTime(60)
        peer.write(interim)
        await client.untilLength(i * interim.length)
      }
      expect(watch.codes).toEqual([])
      vi.advanceTimersByTime(100)
      expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
    } finally {
      vi.useRealTimers()
    }
  })

  test('ends if the backend ends without a byte', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { client, meet, watch } = await arrange({ headTimeout: 0, responseHeadTimeout: 100 })
      const peer = await meet()
      peer.end()
      expect(await client.ended()).toBe('')
      vi.advanceTimersByTime(1000)
      expect(watch.all('open')[0]!.connection.state).toBe('Tunnelling')
      client.end()
      await watch.until('close')
      expect(watch.codes).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })
})
