import net from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Connection, ConnectionState, Dest, ProxyOptions } from '../../src/index.ts'
import { Flood } from '../helpers/flood.ts'
import { Backend, connect, Peer } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, stalled, startProxy, Watch } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const never = () => new Promise<never>(() => undefined)

/** A socket that got a FIN no longer reads, and notices a reset only when it writes. So write until it is closed. */
async function prod(peer: Peer): Promise<void> {
  while (!peer.socket.closed) {
    peer.write('?')
    await turn()
  }
}

interface Scene {
  client: Peer
  peer: Peer | undefined
  connection: Connection
  watch: Watch
}

/** Each state, and how a connection reaches it and stays in it. */
const SCENES: [state: ConnectionState, name: string, play: (scene: Stage) => Promise<unknown>][] = [
  ['AwaitingHead', 'before a byte', async ({ start }) => void (await start({}))],
  ['AwaitingHead', 'in the head', async ({ start }) => (await start({})).write('GET / HT')],
  ['Routing', 'in lookup', async ({ start }) => (await start({ lookup: never })).write(GET)],
  ['Routing', 'in errback', async ({ start }) => (await start({ lookup: () => undefined, errback: never })).write(GET)],
  [
    'Connecting',
    'to a backend',
    async ({ start }) => (await start({ lookup: () => ({ connect: stalled }) })).write(GET),
  ],
  [
    'AwaitingResponse',
    'with modify',
    async ({ start, met }) => {
      const client = await start({ modify: () => undefined })
      client.write(GET)
      return met()
    },
  ],
  [
    'AwaitingResponse',
    'with responseHeadTimeout',
    async ({ start, met }) => {
      const client = await start({ responseHeadTimeout: 60_000 })
      client.write(GET)
      return met()
    },
  ],
  [
    'Modifying',
    'in modify',
    async ({ start, met }) => {
      const client = await start({ modify: never })
      client.write(GET)
      const peer = await met()
      peer.write(OK)
      return peer
    },
  ],
  [
    'Tunnelling',
    'both ways open',
    async ({ start, met }) => {
      const client = await start({})
      client.write(GET)
      const peer = await met()
      peer.write(OK)
      await client.until('ok')
      return peer
    },
  ],
  [
    'Tunnelling',
    'the client has ended',
    async ({ start, met }) => {
      const client = await start({})
      client.end(GET)
      const peer = await met()
      await peer.ended()
      return peer
    },
  ],
  [
    'Tunnelling',
    'the backend has ended',
    async ({ start, met }) => {
      const client = await start({})
      client.write(GET)
      const peer = await met()
      peer.end(OK)
      await client.ended()
      return peer
    },
  ],
  [
    'HandedOver',
    'to a server that reads',
    async ({ start }) => {
      const server = net.createServer((socket) => void socket.resume().on('error', () => undefined))
      const client = await start({ lookup: () => ({ server }) })
      client.write(GET)
    },
  ],
  [
    'Replying',
    'with errback`s Readable',
    async ({ start }) => {
      const source = new PassThrough()
      const client = await start({ lookup: () => undefined, errback: () => source })
      client.write(GET)
      source.write('some')
      await client.until('some')
    },
  ],
  [
    'Replying',
    'with the engine`s answer',
    async ({ start }) => {
      const client = await start({ lookup: () => undefined })
      client.write(GET)
      await client.ended()
    },
  ],
]

interface Stage {
  /** Starts a proxy and a client. */
  start(options: Partial<ProxyOptions>): Promise<Peer>
  /** The backend's socket, after the request has arrived. */
  met(): Promise<Peer>
}

async function play(state: ConnectionState, scene: (stage: Stage) => Promise<unknown>): Promise<Scene> {
  const watch = new Watch()
  const backend = await Backend.start()
  let client: Peer | undefined
  const peer = await scene({
    async start(options) {
      const { port } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), ...options })
      client = await connect(port)
      return client
    },
    async met() {
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      return peer
    },
  })
  const { connection } = await watch.until('open')
  while (connection.state !== state) await turn()
  // Everything that happens without the reset has happened.
  await turns(3)
  return { client: client!, peer: peer instanceof Peer ? peer : undefined, connection, watch }
}

describe('a client that is reset', () => {
  for (const [state, name, scene] of SCENES) {
    test(`in ${state}, ${name}: closes the connection once and resets the backend`, async () => {
      const { client, peer, connection, watch } = await play(state, scene)
      expect(connection.state).toBe(state)
      client.reset()
      if (peer?.hasEnded) await prod(peer)
      await watch.until('close')
      expect(connection.state).toBe('Closed')
      await peer?.closed()
      if (peer) expect(peer.error?.code).toMatch(/^(ECONNRESET|EPIPE)$/)
      await turns(5)
      expect(watch.all('close')).toHaveLength(1)
      const isTold = state !== 'HandedOver' && state !== 'Replying'
      expect(watch.codes.filter((code) => code === 'CLIENT_RESET')).toHaveLength(isTold ? 1 : 0)
    })

    test(`in ${state}, ${name}: does the same as destroy()`, async () => {
      const { client, peer, connection, watch } = await play(state, scene)
      connection.destroy()
      connection.destroy()
      expect(connection.state).toBe('Closed')
      for (const end of [client, peer]) {
        if (end?.hasEnded) await prod(end)
        await end?.closed()
        if (end) expect(end.error?.code).toMatch(/^(ECONNRESET|EPIPE)$/)
      }
      expect(watch.all('close')).toHaveLength(1)
      expect(watch.codes).not.toContain('CLIENT_RESET')
    })
  }
})

describe('a backend that is reset', () => {
  for (const [state, name, scene] of SCENES.filter(([state]) => state === 'Tunnelling')) {
    test(`in ${state}, ${name}: resets the client`, async () => {
      const { client, peer, connection, watch } = await play(state, scene)
      peer!.reset()
      if (name === 'the backend has ended') {
        // The backend has sent everything. The client may still read that, and is not reset.
        await turns(5)
        expect(connection.state).toBe('Tunnelling')
        client.end('unheard')
      }
      await watch.until('close')
      await client.closed()
      if (name !== 'the backend has ended') {
        expect(client.error?.code).toBe('ECONNRESET')
        expect(watch.codes).toEqual(['BACKEND_RESET'])
        expect(watch.all('error')[0]!.error).toMatchObject({ phase: 'tunnel', cause: { code: 'ECONNRESET' } })
      } else {
        expect(client.error).toBeUndefined()
      }
    })
  }

  test('in AwaitingResponse, without modify: answers 502', async () => {
    const [state, , scene] = SCENES.find(([, name]) => name === 'with responseHeadTimeout')!
    const { client, peer, watch } = await play(state, scene)
    peer!.reset()
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*NO_RESPONSE\n$/)
    expect(watch.codes).toEqual(['NO_RESPONSE'])
  })
})

test('tells the backend at once that a client left an event stream', async () => {
  for (const leave of ['reset', 'destroy'] as const) {
    const backend = await Backend.start()
    const { port } = await startProxy(() => ({ port: backend.port, host }))
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
    await client.until('data: 1')
    if (leave === 'reset') {
      client.reset()
      await peer.closed()
      expect(peer.error?.code).toBe('ECONNRESET')
    } else {
      // A client that closes sends a FIN first, and a reset when more data arrives.
      client.socket.destroy()
      await peer.ended()
      await prod(peer)
    }
  }
})

test('resets the client if the backend is reset during an upload, whether a read or a write notices it', async () => {
  for (let i = 0; i < 20; i++) {
    const watch = new Watch()
    const backend = await Backend.start()
    const { port } = await startProxy(() => ({ port: backend.port, host }))
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    new Flood(client.socket, 1 << 26)
    await peer.untilLength(1 << 16)
    peer.reset()
    await client.closed()
    expect(client.hasEnded).toBe(false)
    expect(client.error?.code).toMatch(/^(ECONNRESET|EPIPE)$/)
    await watch.until('close')
    expect(watch.codes).toEqual(['BACKEND_RESET'])
    expect(watch.all('error')[0]!.error.cause).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) })
  }
})

test('resets the backend if the client resets during an upload that the backend does not read', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  onTestFinished(() => void client.socket.destroy())
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.write('x')
  await client.until('x')
  client.write('y'.repeat(100))
  await peer.until('y'.repeat(100))
  client.reset()
  await peer.closed()
  expect(peer.error?.code).toBe('ECONNRESET')
  await watch.until('close')
})

// Node cannot reset a socket while it sends the FIN. The socket would stay open forever.
for (const ticks of [0, 1, 2, 3, 5]) {
  test(`resets the backend if the connection is destroyed ${ticks} ticks after the client's FIN`, async () => {
    const backend = await Backend.start()
    const { port, server } = await startProxy(() => ({ port: backend.port, host }))
    server.once('connection', (socket) => {
      const breakOff = (left: number): void => {
        if (left > 0) process.nextTick(breakOff, left - 1)
        else for (const connection of server.active) connection.destroy()
      }
      socket.once('end', () => breakOff(ticks))
    })
    const client = await connect(port)
    client.end(GET)
    const peer = await backend.next()
    await Promise.all([client.closed(), prod(peer)])
    expect(peer.error?.code).toMatch(/ECONNRESET|EPIPE/)
    expect(server.active.size).toBe(0)
    // `net.Server` counts sockets until they are really closed.
    const count = () => new Promise((resolve) => server.getConnections((_, open) => resolve(open)))
    while ((await count()) !== 0) await turn()
  })
}
