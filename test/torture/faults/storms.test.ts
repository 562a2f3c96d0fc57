import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { kernelSockets, ProxyProcess, socketsOf } from '../../helpers/proxy-process.ts'
import { report } from '../../helpers/report.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20
/** Maximum number of open connections. */
const AT_A_TIME = 100
/** Connections before measuring, to compile code and fill pools. */
const WARM_UP = 2_000

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const FORBIDDEN = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'
const EVENTS = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'

/** How a client leaves when it has what it waits for. */
type Leave = (client: net.Socket) => void
const LEAVES: Leave[] = [(client) => client.end(), (client) => client.destroy(), (client) => client.resetAndDestroy()]

interface Storm {
  name: string
  count: number
  request: string
  /** The last bytes that each client gets before it leaves. */
  until: string
  leaves: Leave[]
  /** What the backend does with a request. Without it the port is closed. */
  serve?: (socket: net.Socket, nth: number) => void
}

const STORMS: Storm[] = [
  {
    name: 'rejected WebSocket upgrades',
    count: 5_000,
    request: UPGRADE,
    until: 'no',
    leaves: LEAVES,
    // In every other connection the client ends first.
    serve: (socket, nth) => void (nth % 2 === 0 ? socket.end(FORBIDDEN) : socket.write(FORBIDDEN)),
  },
  {
    name: 'aborted event streams',
    count: 10_000,
    request: GET,
    until: 'data: 1\n\n',
    leaves: LEAVES.slice(1),
    serve: (socket) => void socket.write(EVENTS),
  },
  { name: 'connects to a dead backend', count: 10_000, request: GET, until: 'CONNECT_FAILED\n', leaves: LEAVES },
]

/** Runs one connection up to its close. Rejects if it does not get what it waits for. */
async function weather(port: number, { request, until }: Storm, leave: Leave): Promise<void> {
  const client = net.connect({ port, host })
  let text = ''
  client.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
    if (text.endsWith(until)) leave(client)
  })
  client.write(request)
  let cause: Error | undefined
  client.on('error', (error) => (cause = error))
  await new Promise((resolve) => client.on('close', resolve))
  if (!text.endsWith(until)) throw cause ?? new Error(`got ${text}`)
}

/** Runs many connections, alternately with and without modify. */
async function blow(storm: Storm, ports: readonly number[], count: number): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < count) {
      const i = next++
      await weather(ports[i % ports.length]!, storm, storm.leaves[(i >> 1) % storm.leaves.length]!)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, one))
}

async function startBackend(serve: Storm['serve']): Promise<number> {
  if (!serve) return deadPort()
  let count = 0
  return listen(
    net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => serve(socket, count++))
    }),
  )
}

describe.skipIf(process.platform !== 'linux')('the process keeps no socket and no memory after', () => {
  for (const storm of STORMS) {
    test(`${storm.count} ${storm.name}`, async () => {
      const backend = { port: await startBackend(storm.serve), host }
      const proxy = new ProxyProcess()
      const ports = [
        await proxy.listen({ backend, isModified: false }),
        await proxy.listen({ backend, isModified: true }),
      ]
      const ours = () => socketsOf(proxy.pid)
      const kernels = () => kernelSockets(backend.port, ...ports)
      const baseline = { ours: ours(), kernels: kernels() }
      const calm = async () => {
        await expect.poll(ours).toBe(baseline.ours)
        await expect.poll(kernels).toBe(baseline.kernels)
      }
      await blow(storm, ports, WARM_UP)
      await calm()
      const before = await proxy.usage()
      await blow(storm, ports, storm.count)
      await calm()
      const after = await proxy.usage()
      expect(after.open).toBe(0)
      const grown = (after.heapUsed - before.heapUsed) / MIB
      report(`${storm.count} ${storm.name}`, `${ours() - baseline.ours} sockets left, heap ${mb(grown)} MB`)
      expect(grown).toBeLessThan(2)
    })
  }
})

function mb(value: number): string {
  return `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(2)}`
}
