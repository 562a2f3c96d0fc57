import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { createBalancer, createStickyServer } from '../../../src/index.ts'
import { listen } from '../../helpers/net.ts'
import { createBackend } from './backend.ts'
import { clients } from './clients/index.ts'
import { History } from './history.ts'
import { Load } from './load.ts'
import type { Client } from './visit.ts'

const client = (name: string) => clients.find((one) => one.name === name)!
const BACKENDS = ['b1', 'b2']

/** What the relay does to a stream at an offset. */
const HARMS = {
  'flips a bit': (chunk: Buffer, at: number) => {
    const bytes = Buffer.from(chunk)
    bytes[at]! ^= 4
    return bytes
  },
  'drops a byte': (chunk: Buffer, at: number) => Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + 1)]),
  'doubles bytes': (chunk: Buffer, at: number) => Buffer.concat([chunk.subarray(0, at + 1), chunk.subarray(at)]),
  resets: () => undefined,
}
type Harm = keyof typeof HARMS

/** Starts a relay that does the harm at one offset of each connection, in one direction. Returns its port. */
async function startRelay(to: number, direction: 'up' | 'down', harm: Harm, place: number): Promise<number> {
  return listen(
    net.createServer({ allowHalfOpen: true }, (down) => {
      const up = net.connect({ port: to, host: '127.0.0.1', allowHalfOpen: true })
      const pass = (from: net.Socket, into: net.Socket, isHarmed: boolean) => {
        let seen = 0
        from.on('data', (chunk: Buffer) => {
          const at = place - seen
          seen += chunk.length
          const bytes = isHarmed && at >= 0 && at < chunk.length ? HARMS[harm](chunk, at) : chunk
          if (!bytes) down.resetAndDestroy()
          else if (!into.write(bytes)) {
            from.pause()
            into.once('drain', () => from.resume())
          }
        })
        from.on('end', () => into.end())
        from.on('error', () => into.destroy())
        from.on('close', () => into.destroy())
      }
      pass(down, up, direction === 'up')
      pass(up, down, direction === 'down')
    }),
  )
}

/** Starts two backends and collects complaints. */
async function startBackends() {
  const complaints: string[] = []
  let wake: () => void = () => undefined
  const complain = (what: string) => {
    complaints.push(what)
    wake()
  }
  const ports = await Promise.all(BACKENDS.map((name) => listen(createBackend(name, complain))))
  /** Resolves with the first complaint of a backend or a client. */
  const complaint = async () => {
    while (complaints.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return complaints[0]!
  }
  return { ports, complain, complaints, complaint }
}

async function startBalancer(ports: readonly number[]): Promise<number> {
  const backends = ports.map((port, i) => ({ port, host: '127.0.0.1', id: BACKENDS[i]! }))
  const balancer = createBalancer({ backends })
  return listen(createStickyServer(balancer.lookup, balancer.errback, { cookie: { insert: true } }))
}

/** Runs one client of the kind through a relay. Resolves with the first complaint. */
async function complaintOf(kind: Client, relay: (port: number) => Promise<number>): Promise<string> {
  const { ports, complain, complaint } = await startBackends()
  const port = await relay(await startBalancer(ports))
  const load = new Load({ port, history: new History(), backends: BACKENDS }, complain)
  load.start(1, [{ ...kind, count: 1 }])
  const what = await complaint()
  await load.stop()
  return what
}

test('every client gets the right answers through badass', async () => {
  const { ports, complain, complaints } = await startBackends()
  const load = new Load({ port: await startBalancer(ports), history: new History(), backends: BACKENDS }, complain)
  const waits: Promise<void>[] = []
  const counting = clients.map((kind): Client => {
    let counted: () => void = () => undefined
    waits.push(
      new Promise((resolve) => {
        counted = resolve
      }),
    )
    const run: Client['run'] = async (visit) => {
      await kind.run(visit)
      counted()
    }
    return { ...kind, count: 1, run }
  })
  load.start(1, counting)
  await Promise.all(waits)
  await load.stop()
  expect(complaints).toEqual([])
  for (const kind of clients) {
    const { complete, aborted, rejected, broken, unavailable } = load.exchanges[kind.name]!
    expect(complete + aborted + rejected, kind.name).toBeGreaterThan(0)
    expect(broken + unavailable, kind.name).toBe(0)
  }
  const { connections, open, received } = load.traffic
  expect(connections).toBeGreaterThanOrEqual(clients.length)
  expect(open).toBe(0)
  expect(received).toBeGreaterThan(0)
})

describe.each(Object.keys(HARMS) as Harm[])('a proxy that %s', (harm) => {
  const DOWN = clients.map(({ name }) => name).filter((name) => name !== 'bad head')
  const UP = ['upload', 'echo', 'half-close', 'WebSocket', 'abort']

  test('towards the client is caught by every client', async () => {
    const complaints = DOWN.map((name) => {
      // The answer to an upload has a few bytes.
      const place = ['upload', 'half-close'].includes(name) ? 5 : 1_000
      return complaintOf(client(name), (port) => startRelay(port, 'down', harm, place))
    })
    const named = (await Promise.all(complaints)).map((what) => what.split(':', 1)[0])
    expect(named).toEqual(DOWN)
  })

  test('towards the backend is caught by every client that sends', async () => {
    const complaints = UP.map((name) => complaintOf(client(name), (port) => startRelay(port, 'up', harm, 2_000)))
    for (const what of await Promise.all(complaints)) expect(what).not.toBe('')
  })
})

test('a connection broken by a killed backend is no fault', async () => {
  const { ports, complain, complaints } = await startBackends()
  const port = await startRelay(await startBalancer(ports), 'down', 'resets', 10_000)
  const history = new History()
  for (const name of BACKENDS) history.begin(name)
  const load = new Load({ port, history, backends: BACKENDS }, complain)
  load.start(1, [{ ...client('download'), count: 1 }])
  while (load.exchanges.download!.broken === 0) await new Promise((resolve) => setImmediate(resolve))
  await load.stop()
  expect(complaints).toEqual([])
})

test('a proxy that forwards bad heads is caught', async () => {
  const { ports, complain, complaint } = await startBackends()
  const load = new Load({ port: ports[0]!, history: new History(), backends: BACKENDS }, complain)
  load.start(1, [client('bad head')])
  expect(await complaint()).toMatch(/HPE_|Parse Error|forbidden|^bad head: /)
  await load.stop()
})

test('a proxy that breaks stickiness is caught', async () => {
  const { ports, complain, complaint } = await startBackends()
  let turn = 0
  const away = createStickyServer(
    () => {
      const i = turn++ % ports.length
      return { port: ports[i]!, host: '127.0.0.1', sticky: BACKENDS[i]! }
    },
    undefined,
    { cookie: { insert: true } },
  )
  const load = new Load({ port: await listen(away), history: new History(), backends: BACKENDS }, complain)
  load.start(1, [{ ...client('sticky'), count: 1 }])
  expect(await complaint()).toMatch(/^sticky: Error: came to b2, while its home b1 was up/)
  await load.stop()
})
