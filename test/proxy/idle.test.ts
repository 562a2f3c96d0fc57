import { describe, expect, test, vi } from 'vitest'
import type { Dest, ProxyOptions } from '../../src/index.ts'
import { Backend, connect } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

/** A connected client and backend. */
async function meet(options: Partial<ProxyOptions>) {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), ...options })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  return { watch, client, peer }
}

/** Runs with fake timers. */
async function withClock(run: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    await run((ms) => void vi.advanceTimersByTime(ms))
  } finally {
    vi.useRealTimers()
  }
}

async function settled(): Promise<void> {
  await turns(5)
}

describe('idleTimeout', () => {
  for (const [mode, modify] of [
    ['in the tunnel', undefined],
    ['while the response is awaited', () => undefined],
  ] as const) {
    test(`resets both sides ${mode}`, async () => {
      await withClock(async (pass) => {
        const { watch, client, peer } = await meet({ headTimeout: 0, idleTimeout: 100, modify })
        pass(100)
        await Promise.all([client.closed(), peer.closed()])
        expect([client.error?.code, peer.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
        expect(client.received).toHaveLength(0)
        expect(watch.codes).toEqual(['IDLE_TIMEOUT'])
        expect(watch.all('error')[0]!.error.status).toBeUndefined()
      })
    })
  }

  test('restarts with each byte in either direction', async () => {
    await withClock(async (pass) => {
      const { watch, client, peer } = await meet({ headTimeout: 0, idleTimeout: 100 })
      const { connection } = watch.all('connected')[0]!
      for (let i = 1; i <= 5; i++) {
        pass(60)
        client.write('x')
        await peer.untilLength(GET.length + i)
        pass(60)
        peer.write('y')
        await client.untilLength(i)
      }
      expect(connection.state).toBe('Tunnelling')
      pass(100)
      expect(watch.codes).toEqual(['IDLE_TIMEOUT'])
      expect(connection.state).toBe('Closed')
    })
  })

  test('applies after one side has ended, with or without halfCloseTimeout', async () => {
    for (const halfCloseTimeout of [0, 1000]) {
      await withClock(async (pass) => {
        const { watch, client, peer } = await meet({ headTimeout: 0, idleTimeout: 100, halfCloseTimeout })
        client.end()
        await peer.ended()
        await settled()
        pass(99)
        expect(watch.codes).toEqual([])
        pass(1)
        expect(watch.codes).toEqual(['IDLE_TIMEOUT'])
      })
    }
  })
})

describe('halfCloseTimeout', () => {
  for (const first of ['client', 'backend'] as const) {
    test(`resets both sides if the ${first} has ended and the other side is silent`, async () => {
      const { watch, client, peer } = await meet({ halfCloseTimeout: 20 })
      const [ended, other] = first === 'client' ? [client, peer] : [peer, client]
      ended.end()
      await other.ended()
      await ended.closed()
      expect(ended.error?.code).toBe('ECONNRESET')
      await watch.until('close')
      expect(watch.codes).toEqual(['HALF_CLOSE_TIMEOUT'])
      expect(watch.all('error')[0]!.error).toMatchObject({ phase: 'tunnel', status: undefined })
    })
  }

  test('restarts with each byte, and does not run while both sides are open', async () => {
    await withClock(async (pass) => {
      const { watch, client, peer } = await meet({ headTimeout: 0, connectTimeout: 0, halfCloseTimeout: 100 })
      expect(vi.getTimerCount()).toBe(0)
      client.end()
      await peer.ended()
      for (let i = 1; i <= 5; i++) {
        pass(60)
        peer.write('y')
        await client.untilLength(i)
      }
      expect(watch.codes).toEqual([])
      pass(100)
      expect(watch.codes).toEqual(['HALF_CLOSE_TIMEOUT'])
    })
  })

  test('applies if idleTimeout is longer', async () => {
    await withClock(async (pass) => {
      const { watch, client, peer } = await meet({ headTimeout: 0, halfCloseTimeout: 50, idleTimeout: 100 })
      client.end()
      await peer.ended()
      await settled()
      pass(50)
      expect(watch.codes).toEqual(['HALF_CLOSE_TIMEOUT'])
    })
  })

  test('is off with 0', async () => {
    await withClock(async () => {
      const { client, peer } = await meet({ headTimeout: 0, connectTimeout: 0, halfCloseTimeout: 0 })
      client.end()
      await peer.ended()
      await settled()
      expect(vi.getTimerCount()).toBe(0)
      peer.end(OK)
      expect(await client.ended()).toBe(OK)
    })
  })
})

describe('after an answer of the engine', () => {
  test('closes a client that does not end its side after 5 s', async () => {
    await withClock(async (pass) => {
      const watch = new Watch()
      const { port } = await startProxy(() => undefined)
      const client = await connect(port)
      client.write(GET)
      await client.ended()
      const { connection } = await watch.until('error')
      pass(4999)
      expect(connection.state).toBe('Replying')
      pass(1)
      expect(connection.state).toBe('Closed')
      expect(vi.getTimerCount()).toBe(0)
      expect(watch.codes).toEqual(['NO_DESTINATION'])
    })
  })

  test('closes a client that ends its side at once', async () => {
    await withClock(async () => {
      const watch = new Watch()
      const { port } = await startProxy(() => undefined)
      const client = await connect(port)
      client.end(GET)
      await client.ended()
      await watch.until('close')
      expect(vi.getTimerCount()).toBe(0)
    })
  })
})
