import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import type { Dest } from '../../../src/index.ts'
import { BackendSocket } from '../../../src/proxy/tunnel/backend-socket.ts'
import { turn } from '../../helpers/turns.ts'
import type { Network } from './network.ts'
import type { DestKind, Setup } from './setup.ts'
import type { Stage } from './stage.ts'

const host = '127.0.0.1'

/** ms within which everything has happened, even on a slow machine. */
const PATIENCE_MS = 20_000

type Resolve = (error: Error | null, address: string, family: number) => void

/** A network of real sockets. */
export class SocketNetwork implements Network {
  readonly hasFakeTime = false
  readonly #directory: string
  readonly #deadPort: number
  readonly #servers: net.Server[] = []
  readonly #before = resources()
  #port = 0
  #path = ''
  #resolving: { socket: net.Socket; resolve: Resolve }[] = []
  static #count = 0

  /** Unix sockets are made in `directory`. `port` is closed. */
  constructor(directory: string, deadPort: number) {
    this.#directory = directory
    this.#deadPort = deadPort
  }

  isOverdue(_turns: number, ms: number): boolean {
    return ms > PATIENCE_MS
  }

  async start(stage: Stage): Promise<void> {
    // Real time passes.
    stage.elapsed = 1
    // Only here are the streams visible that the engine makes.
    BackendSocket.prototype.connect = function (this: net.Socket, ...to: [never]) {
      stage.watch(this)
      return net.Socket.prototype.connect.apply(this, to)
    } as typeof BackendSocket.prototype.connect
    await this.#listen(stage.server, { port: 0, host })
    const accept = () => net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => stage.met(socket))
    this.#port = await this.#listen(accept(), { port: 0, host })
    if (!stage.setup.dests.includes('other')) return
    this.#path = join(this.#directory, String(SocketNetwork.#count++))
    await this.#listen(accept(), { path: this.#path })
  }

  async #listen(server: net.Server, on: net.ListenOptions): Promise<number> {
    this.#servers.push(server)
    server.listen(on)
    await once(server, 'listening')
    return (server.address() as net.AddressInfo).port
  }

  connect({ server }: Stage): { stream: net.Socket } {
    const { port } = server.address() as net.AddressInfo
    return { stream: net.connect({ port, host, allowHalfOpen: true, noDelay: true }) }
  }

  dest(kind: DestKind, stage: Stage): Dest {
    switch (kind) {
      case 'open':
        return { port: this.#port, host }
      case 'refuses':
        return { port: this.#deadPort, host }
      case 'other':
        return { path: this.#path }
      case 'server':
        return { server: net.createServer({ allowHalfOpen: true }, (socket) => stage.met(socket)) }
      default:
        return {
          connect: () => {
            stage.reach('connect')
            if (kind === 'throws') throw new Error('connect')
            const socket = this.#open(kind)
            stage.watch(socket)
            return socket
          },
        }
    }
  }

  #open(kind: 'own' | 'late' | 'over'): net.Socket {
    if (kind === 'over') return new net.Socket().destroy()
    if (kind === 'own') return net.connect(this.#port, host)
    // On loopback a connect is only pending during a look-up.
    let resolve: Resolve | undefined
    const lookup: net.LookupFunction = (_name, _options, done) => {
      resolve = done as Resolve
    }
    const socket = net.connect({ port: this.#port, host: 'late.test', lookup, autoSelectFamily: false })
    this.#resolving.push({ socket, resolve: (...answer) => resolve!(...answer) })
    return socket
  }

  get isConnecting(): boolean {
    this.#resolving = this.#resolving.filter(({ socket }) => !socket.destroyed)
    return this.#resolving.length > 0
  }

  accept(): void {
    this.#resolving.shift()!.resolve(null, host, 4)
  }

  refuse(): void {
    this.#resolving.shift()!.resolve(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 4)
  }

  /** Waits for a time-out only if it must fire. */
  canElapse({ connection, setup, isHandedOver }: Stage): boolean {
    const { headTimeout, connectTimeout, responseHeadTimeout, idleTimeout } = setup.timeouts
    if (isHandedOver) return false
    switch (connection?.state) {
      case 'AwaitingHead':
        return headTimeout > 0
      case 'Connecting':
        return connectTimeout > 0
      case 'AwaitingResponse':
        return responseHeadTimeout > 0 || idleTimeout > 0
      case 'Tunnelling':
        return idleTimeout > 0
      default:
        return false
    }
  }

  /** Waits for the next event: an error, or something before it. */
  async elapse(stage: Stage): Promise<void> {
    const count = stage.seen.length
    const start = performance.now()
    while (stage.seen.length === count && this.canElapse(stage)) {
      if (performance.now() - start > PATIENCE_MS) throw new Error('a time-out does not fire')
      await turn()
    }
  }

  seesResetsAsEnds({ dests }: Setup): boolean {
    // Unix sockets have no RST.
    return dests.includes('other')
  }

  keepsWhatWasSaid(): boolean {
    // A reset drops what the kernel had not sent yet.
    return false
  }

  left(): string[] {
    const now = resources()
    return Object.entries(now).flatMap(([name, count]) => {
      const before = this.#before[name] ?? 0
      return count > before ? [`${count} of ${name}, before ${before}`] : []
    })
  }

  async close(): Promise<void> {
    Reflect.deleteProperty(BackendSocket.prototype, 'connect')
    const close = (server: net.Server) => new Promise((resolve) => server.close(resolve))
    await Promise.all(this.#servers.splice(0).map((server) => close(server)))
  }
}

/** Number of sockets, pipes and timers that keep the process alive. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) {
    if (/^(TCP|Pipe|Timeout)/.test(name)) counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
