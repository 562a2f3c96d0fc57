import { once } from 'node:events'
import type net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './answers.ts'
import type { Failure, Outcome } from './judge.ts'
import type { Random } from './random.ts'
import { openSocket, type Traffic, Wire } from './wire.ts'

/** A kind of client. */
export interface Client {
  name: string
  /** How many run at a time. */
  count: number
  /** Opens one or a few connections and makes its exchanges. Throws on everything that is not right. */
  run(visit: Visit): Promise<void>
}

/** What the load gives to each client. */
export interface Scene {
  port: number
  requests: 'first' | 'every'
  traffic: Traffic
  random: Random
  /** Whether the load is ending. */
  isOver(): boolean
  did(outcome: Outcome): void
  /** Whether the backend was known to be up all the time between the two. */
  wasUp(backend: string, from: number, to: number): boolean
}

/** One run of a client. Closes the connections that it opened. */
export class Visit {
  readonly scene: Scene
  readonly random: Random
  /** When the current connection was opened. */
  from = performance.now()
  /** The backend at its other end, once an answer has named it. With 'every' each request may have another. */
  backend: string | undefined
  /** The backend of the last answer. */
  answeredBy: string | undefined
  readonly #sockets: net.Socket[] = []

  constructor(scene: Scene) {
    this.scene = scene
    this.random = scene.random
  }

  /** Opens a connection, which becomes the current one. */
  socket(): net.Socket {
    this.from = performance.now()
    this.backend = undefined
    const socket = openSocket(this.scene.port, this.scene.traffic)
    this.#sockets.push(socket)
    return socket
  }

  wire(): Wire {
    return new Wire(this.socket())
  }

  /** Reads the backend's name. @throws {Error} when it is missing, or differs from the last one of this connection */
  identify({ fields }: Answer): void {
    const name = fields.get('x-backend')?.[0]
    if (name === undefined) throw new Error('an answer without X-Backend')
    this.answeredBy = name
    if (this.scene.requests === 'every') return
    if (this.backend !== undefined && this.backend !== name)
      throw new Error(`answered by ${name}, and before by ${this.backend}`)
    this.backend = name
  }

  did(outcome: Outcome): void {
    this.scene.did(outcome)
  }

  get isOver(): boolean {
    return this.scene.isOver()
  }

  async pause(most: number): Promise<void> {
    await sleep(this.random.between(0, most))
  }

  failure(error: unknown): Failure {
    return { from: this.from, to: performance.now(), backend: this.backend, error }
  }

  /** Closes all connections, and resolves when they are closed and counted. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) if (!socket.destroy().closed) await once(socket, 'close')
  }
}
