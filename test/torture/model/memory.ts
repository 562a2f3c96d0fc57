import net from 'node:net'
import { vi } from 'vitest'
import type { Dest } from '../../../src/index.ts'
import type { Network } from './network.ts'
import type { DestKind } from './setup.ts'
import type { Stage } from './stage.ts'
import { MemoryDuplex, MemorySocket, type Port, portPair } from './wire.ts'

/** A network in memory with a fake clock, so that each run is the same. */
export class MemoryNetwork implements Network {
  readonly hasFakeTime = true
  readonly #capacity: number
  readonly #ports: Port[] = []
  #connecting: { upstream: MemorySocket; accept(): void }[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  isOverdue(turns: number): boolean {
    // The largest script is read within this many turns.
    return turns > 5_000
  }

  async start(): Promise<void> {}

  connect({ server }: Stage): { stream: MemorySocket; port: Port } {
    const [near, far] = this.#pair()
    const stream = new MemorySocket(far)
    server.emit('connection', new MemorySocket(near))
    return { stream, port: far }
  }

  dest(kind: DestKind, stage: Stage): Dest {
    if (kind === 'server') {
      const server = net.createServer({ allowHalfOpen: true }, (socket) =>
        stage.met(socket, (socket as MemorySocket).port),
      )
      return { server }
    }
    return {
      connect: () => {
        stage.reach('connect')
        const upstream = this.#open(kind, stage)
        stage.watch(upstream)
        return upstream
      },
    }
  }

  #open(kind: DestKind, stage: Stage): MemorySocket | MemoryDuplex {
    if (kind === 'throws') throw new Error('connect')
    const [near, far] = this.#pair()
    const meet = () => stage.met(new MemorySocket(far), far)
    if (kind === 'other') {
      meet()
      return new MemoryDuplex(near)
    }
    if (kind === 'open') {
      meet()
      return new MemorySocket(near)
    }
    const upstream = new MemorySocket(near, kind !== 'over')
    const accept = () => {
      if (upstream.destroyed) return
      meet()
      upstream.accept()
    }
    if (kind === 'over') upstream.destroy()
    else if (kind === 'refuses') setImmediate(() => upstream.refuse())
    else if (kind === 'own') setImmediate(accept)
    else this.#connecting.push({ upstream, accept })
    return upstream
  }

  #pair(): [Port, Port] {
    const pair = portPair(this.#capacity)
    this.#ports.push(...pair)
    return pair
  }

  get isConnecting(): boolean {
    this.#connecting = this.#connecting.filter(({ upstream }) => upstream.connecting && !upstream.destroyed)
    return this.#connecting.length > 0
  }

  accept(): void {
    this.#connecting.shift()!.accept()
  }

  refuse(): void {
    this.#connecting.shift()!.upstream.refuse()
  }

  canElapse(): boolean {
    return true
  }

  async elapse(stage: Stage, ms: number): Promise<void> {
    stage.elapsed += ms
    vi.advanceTimersByTime(ms)
  }

  seesResetsAsEnds(): boolean {
    return false
  }

  keepsWhatWasSaid({ setup, isHandedOver }: Stage): boolean {
    // A server that resets has the client's socket itself.
    if (isHandedOver) return false
    // Node destroys a Duplex that is not a socket when a write fails, with all bytes that it holds.
    return !setup.dests.includes('other')
  }

  left(): string[] {
    const timers = vi.getTimerCount()
    return [...(timers > 0 ? [`${timers} timers`] : []), ...this.#ports.flatMap(({ faults }) => faults)]
  }

  async close(): Promise<void> {}
}
