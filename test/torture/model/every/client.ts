import { expect } from 'vitest'
import type { Connection, ProxyError } from '../../../../src/index.ts'
import { reset } from '../../../../src/proxy/socket.ts'
import { pattern } from '../../../helpers/pattern.ts'
import type { MemorySocket, Port } from '../wire.ts'
import type { ModelBackend, Reply } from './backend.ts'
import { type RequestName, type RequestText, requestText } from './messages.ts'
import { Responses } from './responses.ts'
import type { Route } from './setup.ts'

/** The engine skips a body of up to this many bytes after the answer of a hook. */
const SKIPPED_BYTES = 65_536

const RAW = pattern(2, 1 << 20)

/** One request of a client. */
export interface Asked {
  readonly client: ModelClient
  readonly number: number
  readonly name: RequestName
  readonly route: Route
  readonly text: RequestText
  /** Offsets in the bytes of its client. */
  readonly bodyStart: number
  readonly end: number
  /** Number of times that lookup saw it. */
  lookups: number
  /** Where hooks sent it. */
  readonly places: Set<string>
  /** The backend connections that its head arrived on. */
  readonly takers: ModelBackend[]
  /** The responses of backends to it. */
  readonly replies: Reply[]
}

/** A client, controlled by the test. */
export class ModelClient {
  readonly index: number
  readonly stream: MemorySocket
  readonly port: Port
  readonly asked: Asked[] = []
  readonly responses: Responses
  connection: Connection | undefined
  readonly errors: ProxyError[] = []
  /** Everything that it will send. */
  bytes = Buffer.alloc(0)
  sent = 0
  hasEnded = false
  isReset = false
  isDestroyed = false
  /** An attempt to connect to a backend was given up. */
  hasGivenUp = false
  isHeld = false
  isPaused = false
  isClosed = false
  /** Number of its requests that lookup saw. */
  looked = 0

  constructor(index: number, stream: MemorySocket, port: Port, hasModify: boolean) {
    this.index = index
    this.stream = stream
    this.port = port
    this.responses = new Responses(this, hasModify)
    stream.on('data', (bytes: Buffer) => this.responses.push(bytes))
    stream.on('end', () => this.responses.end())
    stream.on('error', () => undefined)
  }

  /** It can send nothing more. */
  get isOver(): boolean {
    return this.hasEnded || this.isReset || this.stream.destroyed
  }

  ask(name: RequestName, route: Route, when: string): void {
    const number = this.asked.length
    const text = requestText(name, `/${this.index}/${number}/${route}/${when}`, this.index * 10 + number)
    const bodyStart = this.bytes.length + text.head.length
    const end = bodyStart + text.body.length
    this.bytes = Buffer.concat([this.bytes, text.head, text.body])
    const news = { lookups: 0, places: new Set<string>(), takers: [], replies: [] }
    this.asked.push({ client: this, number, name, route, text, bodyStart, end, ...news })
  }

  send(size: number): void {
    const to = Math.min(this.bytes.length, this.sent + size)
    if (to === this.sent) return
    const bytes = this.bytes.subarray(this.sent, to)
    this.sent = to
    this.stream.write(bytes)
  }

  /** Bytes that belong to no request unless it has upgraded. */
  sendRaw(size: number): void {
    const at = this.bytes.length
    this.bytes = Buffer.concat([this.bytes, RAW.subarray(at, at + size)])
    this.send(Number.POSITIVE_INFINITY)
  }

  end(): void {
    this.hasEnded = true
    this.stream.end()
  }

  reset(): void {
    this.isReset = true
    reset(this.stream)
  }

  hold(isHeld: boolean): void {
    this.isHeld = isHeld
    this.port.peer.isHeld = isHeld
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused
    if (isPaused) this.stream.pause()
    else this.stream.resume()
  }

  /** The requests of which every byte was sent. */
  get whole(): Asked[] {
    return this.asked.filter(({ end }) => end <= this.sent)
  }

  checkWhole(): void {
    if (this.isReset || this.isDestroyed || this.errors.length > 0) return
    expect(this.responses.hasEnded, `client ${this.index} got an end`).toBe(true)
    // After its own answer to a request with a long body, the engine closes.
    const isCut = this.asked.some(({ route, text }) => route === 'response' && text.body.length > SKIPPED_BYTES)
    if (this.responses.isLast || this.responses.isTunnel || isCut) return
    expect(this.responses.count, `answers to client ${this.index}`).toBeGreaterThanOrEqual(this.whole.length)
  }
}
