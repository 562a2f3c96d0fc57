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
  /** How many there are at a time. */
  count: number
  /** One connection, or a few, from the first to the last exchange. Throws what it saw that is not right. */
  run(visit: Visit): Promise<void>
}

/** Where clients go, and to whom they say what came of it. */
export interface Scene {
  port: number
  traffic: Traffic
  random: Random
  /** Whether visits are to end soon. */
  isOver(): boolean
  did(outcome: Outcome): void
  /** Whether a backend was known to be up all that time. */
  wasUp(backend: string, from: number, to: number): boolean
}

/** What one client does in one go; closes what it has opened. */
export class Visit {
  readonly scene: Scene
  readonly random: Random
  /** When the connection of now was begun. */
  from = performance.now()
  /** Who is at its other end, once that is known. */
  backend: string | undefined
  readonly #sockets: net.Socket[] = []

  constructor(scene: Scene) {
    this.scene = scene
    this.random = scene.random
  }

  /** Another connection: what was of the one before is forgotten. */
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

  /** @throws {Error} where an answer on this connection is another backend's, or nobody's */
  knows({ fields }: Answer): void {
    const name = fields.get('x-backend')?.[0]
    if (name === undefined) throw new Error('an answer of no backend')
    if (this.backend !== undefined && this.backend !== name) throw new Error(`${name} in the place of ${this.backend}`)
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

  /** Resolves when all that it has opened is closed, and counted. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) if (!socket.destroy().closed) await once(socket, 'close')
  }
}
