import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer, Round, Sample, Workload } from '../types.ts'
import { ask, checkClose, checkKeepAlive } from './ask.ts'
import { wrk } from './wrk.ts'

const names = ['badass', 'haproxy http', 'haproxy tcp', 'nginx http', 'http-proxy']
const suits = ({ name }: Peer) => names.includes(name)

const FEWEST = 10
/** After this many requests a connection, all connections are open. */
const SETTLED = 10
const SETTLING_LIMIT_S = 30

/** The number of requests at the backend (nginx's stub_status). */
async function requestsSoFar(backend: number): Promise<number> {
  const { body } = await ask(backend, '/requests')
  return Number(/^ *\d+ +\d+ +(\d+)/m.exec(body)?.[1])
}

/** Measures a part of wrk's run, after it has opened its connections. */
async function windowOf({ port, backend, seconds, usage }: Round, connections: number): Promise<Sample> {
  const enough = (await requestsSoFar(backend)) + SETTLED * connections
  const end = new AbortController()
  const load = wrk({ port, connections, seconds: SETTLING_LIMIT_S + seconds, signal: end.signal })
  const look = async () => ({ requests: await requestsSoFar(backend), cpu: usage().cpu, at: performance.now() })
  const watch = async () => {
    while (!end.signal.aborted && (await requestsSoFar(backend)) < enough) await sleep(50)
    const before = await look()
    await sleep(seconds * 1000)
    const after = await look()
    return {
      units: after.requests - before.requests,
      seconds: (after.at - before.at) / 1000,
      cpu: after.cpu - before.cpu,
    }
  }
  const tooSlow = load.then(() => {
    throw new Error(`wrk ended before all ${connections} connections were open`)
  })
  try {
    return await Promise.race([watch(), tooSlow])
  } finally {
    end.abort()
    tooSlow.catch(() => {})
    await load
  }
}

/** Opens connections that get an answer and are idle then. */
async function openIdle(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  const open = async () => {
    while (sockets.length < count) {
      const socket = connect({ port, host: '127.0.0.1' })
      sockets.push(socket)
      socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n')
      await once(socket, 'data')
      socket.on('error', () => {})
    }
  }
  await Promise.all(Array.from({ length: 64 }, open))
  return sockets
}

async function besideIdle({ port, seconds, usage }: Round, count: number): Promise<Sample> {
  const idle = await openIdle(port, count)
  try {
    const before = usage().cpu
    const done = await wrk({ port, seconds, connections: 64, headers: ['Connection: close'] })
    return { ...done, cpu: usage().cpu - before }
  } finally {
    for (const socket of idle) socket.destroy()
  }
}

const requests = (connections: number): Workload => ({
  name: `scale ${connections}`,
  group: 'scale',
  title: `small requests on ${connections} open connections (wrk)`,
  unit: 'µs of CPU a request',
  // The later ones find the peer warm.
  wantsWarmUp: connections === FEWEST,
  backend: 'nginx',
  suits,
  check: checkKeepAlive,
  run: (round) => windowOf(round, connections),
})

const connections = (open: number): Workload => ({
  name: `open ${open}`,
  group: 'open',
  title: `one request a connection (wrk) beside ${open} idle connections`,
  unit: 'µs of CPU a connection',
  wantsWarmUp: open === 0,
  backend: 'nginx',
  suits,
  check: async (port) => void (await checkClose(port)),
  run: (round) => besideIdle(round, open),
})

/** Show whether the cost of a request or a connection depends on the number of open connections. */
export const scale: readonly Workload[] = [
  ...[FEWEST, 100, 1000, 3000].map(requests),
  ...[0, 1000, 3000].map(connections),
]
