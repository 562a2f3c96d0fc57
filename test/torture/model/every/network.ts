import net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dest } from '../../../../src/index.ts'
import type { BackendSocket } from '../../../../src/proxy/tunnel/backend-socket.ts'
import { MemorySocket, portPair } from '../wire.ts'
import { ModelBackend, type Surroundings } from './backend.ts'
import { BackendWire } from './backend-wire.ts'
import type { Route } from './setup.ts'

const host = '127.0.0.1'
const PORTS = { a: 1, b: 2, late: 3, dead: 4, proxy: 5 } as const

/** The places whose connections clients share. */
export const SHARED = [PORTS.a, PORTS.b, PORTS.late].map((port) => `${host}:${port}`)

/** Backends in memory. */
export class BackendNetwork {
  readonly backends: ModelBackend[] = []
  /** The engine's ends of their connections. */
  readonly sockets: (BackendSocket | MemorySocket)[] = []
  readonly wires = new Map<unknown, BackendWire>()
  readonly dests: Readonly<Record<Exclude<Route, 'response' | 'nothing' | 'throws'>, Dest>> = {
    a: { port: PORTS.a, host },
    b: { port: PORTS.b, host },
    once: { port: PORTS.a, host, retry: false },
    late: { port: PORTS.late, host },
    dead: { port: PORTS.dead, host },
    own: { connect: () => this.#openOwn() },
    proxy: { port: PORTS.proxy, host, sendProxy: 1 },
    server: { server: net.createServer({ allowHalfOpen: true }, (stream) => this.#meet(stream, undefined, 'server')) },
  }
  readonly #capacity: number
  readonly #surroundings: Omit<Surroundings, 'place'>
  #connecting: BackendWire[] = []

  constructor(capacity: number, surroundings: Omit<Surroundings, 'place'>) {
    this.#capacity = capacity
    this.#surroundings = surroundings
  }

  /** The engine connects a socket. */
  connect(socket: BackendSocket, { port }: { port: number }): void {
    const wire = new BackendWire(socket, this.#capacity)
    this.wires.set(socket, wire)
    this.sockets.push(socket)
    if (port === PORTS.dead) setImmediate(() => wire.refuse())
    else if (port === PORTS.late) this.#connecting.push(wire)
    else setImmediate(() => this.#accept(wire, port === PORTS.b ? 'b' : port === PORTS.proxy ? 'proxy' : 'a'))
  }

  /** A connection that was not accepted or refused yet. */
  get isConnecting(): boolean {
    this.#connecting = this.#connecting.filter(({ socket }) => !socket.destroyed)
    return this.#connecting.length > 0
  }

  accept(): void {
    this.#accept(this.#connecting.shift()!, 'late')
  }

  refuse(): void {
    this.#connecting.shift()!.refuse()
  }

  get faults(): string[] {
    return [...this.wires.values()].flatMap(({ near, far }) => [...near.faults, ...far.faults])
  }

  #accept(wire: BackendWire, place: string): void {
    if (wire.socket.destroyed) return
    this.#meet(new MemorySocket(wire.far), wire, place)
    wire.accept()
  }

  #openOwn(): MemorySocket {
    const [near, far] = portPair(this.#capacity)
    const socket = new MemorySocket(near)
    this.sockets.push(socket)
    this.#meet(new MemorySocket(far), undefined, 'own')
    return socket
  }

  #meet(stream: Duplex, wire: BackendWire | undefined, place: string): void {
    const port = stream instanceof MemorySocket ? stream.port : undefined
    this.backends.push(new ModelBackend(stream, port, wire, { ...this.#surroundings, place }))
  }
}
