import { once } from 'node:events'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import { expect } from 'vitest'
import type { Connection, ConnectionState, Dest, ProxyOptions } from '../../../src/index.ts'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { GET, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { turn, turns } from '../../helpers/turns.ts'

const host = '127.0.0.1'
const noop = () => undefined

/** A connection in some state, with its ends. */
interface Scene {
  client: Peer
  /** The backend's end, if there is one. */
  peer?: Peer
  /** Lets the engine continue and write to the client. */
  go?: () => void
}

interface Stage {
  /** Starts a proxy and a client that sends these bytes. */
  start(sent: string, options?: Partial<ProxyOptions>, isEnded?: boolean): Promise<Peer>
  /** The backend's end, after the whole request has arrived. */
  met(): Promise<Peer>
  backend: Backend
}

type Play = (stage: Stage) => Promise<Scene>

/** In the middle of an exchange. `answer` is what the backend has sent so far. */
function exchange(options: Partial<ProxyOptions>, ended: 'none' | 'client' | 'backend', answer = ''): Play {
  return async ({ start, met }) => {
    const client = await start(GET, options, ended === 'client')
    const peer = await met()
    if (ended === 'client') await peer.ended()
    if (ended === 'backend') peer.end(answer)
    else peer.write(answer)
    return { client, peer }
  }
}

/** A hook that waits until `go`. */
function waiting(): { hook: () => Promise<undefined>; go: () => void } {
  let go: () => void = noop
  const waited = new Promise<undefined>((resolve) => (go = () => resolve(undefined)))
  return { hook: () => waited, go: () => go() }
}

/** A scene whose hooks wait. */
function withHeld(make: (hook: () => Promise<undefined>) => Play): Play {
  return async (stage) => {
    const { hook, go } = waiting()
    return { ...(await make(hook)(stage)), go }
  }
}

/** The same, after the client has got the backend's bytes. */
function tunnel(options: Partial<ProxyOptions>, ended: 'none' | 'client' | 'backend'): Play {
  return async (stage) => {
    const { client, peer } = await exchange(options, ended, OK)(stage)
    await (ended === 'backend' ? client.ended() : client.until('ok'))
    return { client, peer: peer! }
  }
}

/** The part of a response that a client has, with `requests: 'every'`. */
export const PART = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'

/** In the middle of a response. */
const responding: Play = async (stage) => {
  const { client, peer } = await exchange({ requests: 'every' }, 'none', PART)(stage)
  await client.until('ok')
  return { client, peer: peer! }
}

/** Without a backend. */
function alone(sent: string, options: Partial<ProxyOptions> = {}, isEnded = false, until = ''): Play {
  return async ({ start }) => {
    const client = await start(sent, options, isEnded)
    await client.until(until)
    return { client }
  }
}

const modify = noop
const late: Partial<ProxyOptions> = { responseHeadTimeout: 60_000 }

/** With a server of this process that has read the request. */
const handed =
  (isEnded: boolean): Play =>
  async (stage) => {
    const server = net.createServer({ allowHalfOpen: true })
    const met = once(server, 'connection')
    const { client } = await alone(GET, { lookup: () => ({ server }) }, isEnded)(stage)
    const [socket] = (await met) as [net.Socket]
    socket.on('error', noop).resume()
    return { client, go: () => void socket.write('x') }
  }

/** With the Readable of an errback. */
const streamed =
  (isEnded: boolean): Play =>
  async (stage) => {
    const source = new PassThrough()
    source.write('some')
    const { client } = await alone(GET, { lookup: noop, errback: () => source }, isEnded, 'some')(stage)
    return { client, go: () => void source.write('x') }
  }

/** In the TLS handshake, which the backend never answers. */
const shaking =
  (isEnded: boolean, options?: Partial<ProxyOptions>): Play =>
  async ({ start, backend }) => {
    const lookup = () => ({ port: backend.port, host, tls: true as const })
    const client = await start(GET, { ...options, lookup }, isEnded)
    const peer = await backend.next()
    await peer.untilLength(1)
    return { client, peer, go: () => peer.end() }
  }

/** How a connection reaches each state and stays in it. */
export const PLAYS: Record<Exclude<ConnectionState, 'Closed'>, Record<string, Play>> = {
  AwaitingProxyHeader: {
    'before a byte': alone('', { proxyProtocol: [host] }),
    'in the header': alone('PROXY TCP4 ', { proxyProtocol: [host] }),
  },
  AwaitingHead: {
    'before a byte': alone(''),
    'in the head': alone('GET / HT'),
    'with modify': alone('GET / HT', { modify }),
  },
  Routing: {
    'in lookup': withHeld((lookup) => alone(GET, { lookup })),
    'in errback': withHeld((errback) => alone(GET, { lookup: noop, errback })),
    'with modify': withHeld((lookup) => alone(GET, { lookup, modify })),
    'the client has ended': withHeld((lookup) => alone(GET, { lookup }, true)),
  },
  Connecting: {
    'without modify': shaking(false),
    'with modify': shaking(false, { modify }),
    'the client has ended': shaking(true),
  },
  AwaitingResponse: {
    'without modify': exchange(late, 'none'),
    'with modify': exchange({ modify }, 'none'),
    'in the response head': exchange({ modify }, 'none', 'HTTP/1.1 200 '),
    'without modify, the client has ended': exchange(late, 'client'),
    'with modify, the client has ended': exchange({ modify }, 'client'),
  },
  Modifying: {
    'both open': withHeld((hook) => exchange({ modify: hook }, 'none', OK)),
    'the client has ended': withHeld((hook) => exchange({ modify: hook }, 'client', OK)),
    'the backend has ended': withHeld((hook) => exchange({ modify: hook }, 'backend', OK)),
  },
  Responding: {
    'both open': responding,
  },
  Tunnelling: {
    'without modify': tunnel({}, 'none'),
    'with modify': tunnel({ modify }, 'none'),
    'without modify, the client has ended': tunnel({}, 'client'),
    'with modify, the client has ended': tunnel({ modify }, 'client'),
    'without modify, the backend has ended': tunnel({}, 'backend'),
    'with modify, the backend has ended': tunnel({ modify }, 'backend'),
  },
  HandedOver: {
    'both open': handed(false),
    'the client has ended': handed(true),
  },
  Replying: {
    'the engine`s answer': alone('bad\r\n\r\n', {}, false, '\n'),
    'errback`s Readable': streamed(false),
    'errback`s Readable, the client has ended': streamed(true),
    'after a backend': async (stage) => {
      const { client } = await exchange({ responseHeadTimeout: 20 }, 'none')(stage)
      await client.until('TIMEOUT\n')
      return { client }
    },
  },
}

export async function play(
  state: ConnectionState,
  scene: Play,
): Promise<Scene & { connection: Connection; watch: Watch }> {
  const watch = new Watch()
  const backend = await Backend.start()
  const set = await scene({
    backend,
    async start(sent, options, isEnded = false) {
      const { port } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), ...options })
      const client = await connect(port)
      if (isEnded) client.end(sent)
      else client.write(sent)
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
  // Everything that happens by itself has happened.
  await turns(5)
  expect(connection.state).toBe(state)
  return { ...set, connection, watch }
}
