import type { Duplex } from 'node:stream'
import { reset } from '../../../../src/proxy/socket.ts'
import { pattern } from '../../../helpers/pattern.ts'
import type { Port } from '../wire.ts'
import type { BackendWire } from './backend-wire.ts'
import type { Asked, ModelClient } from './client.ts'
import { type ResponseName, type ResponseText, responseText, UNASKED } from './messages.ts'
import type { Answers } from './setup.ts'

/** A response of a backend. */
export interface Reply {
  readonly backend: ModelBackend
  readonly number: number
  readonly name: ResponseName
  readonly text: ResponseText
  /** The engine must refuse its head. */
  readonly isRefused: boolean
  readonly isSwitch: boolean
  /** It has no body, whatever its head says. */
  readonly isBare: boolean
  /** Bytes of its body that were sent. */
  sentBody: number
  /** The backend has ended its side after it. */
  hasEnd: boolean
}

/** What a backend knows of the others. */
export interface Surroundings {
  readonly place: string
  /** When it answers by itself. */
  readonly answers: Answers
  /** The request that a target names. Undefined if there is none, or lookup did not see it. */
  find(target: string, seen: string): Asked | undefined
  nextReply(): number
}

const END = '\r\n\r\n'
const RAW = pattern(1, 1 << 20)

/** A connection of a backend, controlled by the test. Notes the first violation. */
export class ModelBackend {
  readonly stream: Duplex
  /** Undefined for a server of this process. */
  readonly port: Port | undefined
  /** Undefined if a `connect` of the user made the connection. */
  readonly wire: BackendWire | undefined
  readonly place: string
  fault: Error | undefined
  /** The request that has no whole answer yet. */
  open: Asked | undefined
  /** Every byte of it has come. */
  isWhole = false
  reply: Reply | undefined
  /** Bytes of the reply that were not sent. */
  outbox: Buffer = Buffer.alloc(0)
  /** It sent bytes that answer nothing. No further request may come. */
  isSpoiled = false
  hasEnded = false
  isGone = false
  sawEnd = false
  isHeld = false
  /** Its bytes after a 101. */
  raw: Buffer = Buffer.alloc(0)
  isTunnel = false
  /** Only this client may use it. */
  owner: ModelClient | undefined
  readonly #surroundings: Surroundings
  #rest = Buffer.alloc(0)
  #at = 0
  #isAnnounced: boolean

  constructor(stream: Duplex, port: Port | undefined, wire: BackendWire | undefined, surroundings: Surroundings) {
    this.stream = stream
    this.port = port
    this.wire = wire
    this.place = surroundings.place
    this.#surroundings = surroundings
    this.#isAnnounced = this.place === 'proxy'
    stream.on('data', (bytes: Buffer) => this.#try(() => this.#received(bytes)))
    stream.on('end', () => this.#try(() => this.#ended()))
    stream.on('error', () => undefined)
  }

  get isOver(): boolean {
    return this.hasEnded || this.isGone || this.stream.destroyed
  }

  /** Whether it could answer now. */
  get canAnswer(): boolean {
    return this.open !== undefined && this.reply === undefined && !this.isOver && !this.isTunnel
  }

  /** Starts the answer to the open request. Nothing is sent yet. */
  answer(name: ResponseName): void {
    const asked = this.open!
    const { method } = asked.text.kind
    const number = this.#surroundings.nextReply()
    const text = responseText(name, number, method === 'HEAD')
    const isSwitch = name === 'switch' && asked.name === 'upgrade'
    const isRefused = text.kind.bad === 'head' || (name === 'switch' && !isSwitch)
    const isBare = method === 'HEAD'
    this.reply = { backend: this, number, name, text, isRefused, isSwitch, isBare, sentBody: 0, hasEnd: false }
    asked.replies.push(this.reply)
    this.outbox = text.bytes
    if (text.kind.surplus || text.kind.bad === 'head' || (text.kind.bad && !isBare)) this.isSpoiled = true
    if (name === 'login') this.owner = asked.client
  }

  /** Sends bytes of the answer. Surplus bytes are in one write with it. */
  send(size: number): void {
    const reply = this.reply!
    const bytes = this.outbox.subarray(0, this.isSpoiled ? this.outbox.length : size)
    this.outbox = this.outbox.subarray(bytes.length)
    reply.sentBody = Math.max(0, reply.text.body.length - this.outbox.length)
    if (this.outbox.length === 0) {
      if (reply.isSwitch) this.isTunnel = true
      if (reply.text.kind.framing !== 'close' || reply.isBare) this.#close()
    }
    // In this process, the next request may come at once.
    this.stream.write(bytes)
  }

  sendRaw(size: number): void {
    const bytes = RAW.subarray(this.raw.length, this.raw.length + size)
    this.raw = Buffer.concat([this.raw, bytes])
    this.stream.write(bytes)
  }

  unasked(): void {
    this.isSpoiled = true
    this.stream.write(Buffer.from(UNASKED))
  }

  end(): void {
    this.hasEnded = true
    if (this.reply) this.reply.hasEnd = true
    if (this.outbox.length === 0 && this.reply) this.#close()
    this.stream.end()
  }

  reset(): void {
    this.isGone = true
    reset(this.stream)
  }

  hold(isHeld: boolean): void {
    this.isHeld = isHeld
    if (this.port) this.port.peer.isHeld = isHeld
  }

  /** The answer is complete. */
  #close(): void {
    if (this.isTunnel) return
    this.open = undefined
    this.reply = undefined
  }

  #try(action: () => void): void {
    if (this.fault) return
    try {
      action()
    } catch (cause) {
      this.fault = cause as Error
      this.fault.message = `a connection to ${this.place}: ${this.fault.message}`
    }
  }

  #received(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (this.#isAnnounced) {
      const end = this.#rest.indexOf('\r\n')
      if (end < 0) return
      this.#isAnnounced = false
      this.#rest = this.#rest.subarray(end + 2)
    }
    while (this.#rest.length > 0 && (this.#current ? this.#readBody(this.#current) : this.#readHead()));
  }

  /** The request whose bytes come now. */
  #current: Asked | undefined

  #readHead(): boolean {
    const end = this.#rest.indexOf(END)
    if (end < 0) return false
    const head = this.#rest.toString('latin1', 0, end + END.length)
    this.#rest = this.#rest.subarray(end + END.length)
    const target = head.split(' ')[1] ?? ''
    const seen = /^X-Seen: (.*)\r$/m.exec(head)?.[1] ?? ''
    const asked = this.#surroundings.find(target, seen)
    if (!asked) throw new Error(`a request that lookup did not see: ${head}`)
    if (!asked.places.has(this.place)) throw new Error(`${target} was sent to ${[...asked.places]}`)
    if (this.open) throw new Error(`${target} came while ${this.#nameOf(this.open)} was not answered`)
    if (this.isSpoiled) throw new Error(`${target} came after unasked bytes`)
    const edits = head.slice(asked.text.passed.length)
    if (!head.startsWith(asked.text.passed) || !/^X-Seen: \d+\r\n(?:X-Errback: \d+\r\n)?\r\n$/.test(edits))
      throw new Error(`another head than ${JSON.stringify(asked.text.passed)}: ${head}`)
    this.#checkOwner(asked)
    this.#checkAgain(asked)
    this.open = asked
    this.#current = asked
    this.#at = asked.bodyStart
    this.isWhole = false
    if (this.#surroundings.answers === 'early') this.#answerNow()
    this.#readBody(asked)
    return true
  }

  #checkOwner(asked: Asked): void {
    if (this.owner && this.owner !== asked.client)
      throw new Error(`a request of another client than ${this.owner.index}`)
    const isPrivate = ['own', 'proxy', 'server'].includes(this.place) || asked.name === 'login'
    if (isPrivate) this.owner = asked.client
  }

  /** A request may come twice only if that has no other effect. */
  #checkAgain(asked: Asked): void {
    asked.takers.push(this)
    if (asked.takers.length === 1) return
    const { method, fields } = asked.text.kind
    const isIdempotent = method !== 'POST' && !fields?.includes('Expect')
    if (!isIdempotent || asked.route === 'once' || asked.text.body.length > 65_536)
      throw new Error(`${this.#nameOf(asked)} came twice`)
  }

  #nameOf({ client, number, name }: Asked): string {
    return `the request ${client.index}/${number} (${name})`
  }

  #readBody(asked: Asked): boolean {
    const end = this.isTunnel ? asked.client.sent : asked.end
    const count = Math.min(this.#rest.length, end - this.#at)
    const wanted = asked.client.bytes.subarray(this.#at, this.#at + count)
    if (!this.#rest.subarray(0, count).equals(wanted)) throw new Error(`a byte of ${this.#nameOf(asked)} is another`)
    this.#at += count
    this.#rest = this.#rest.subarray(count)
    if (this.isTunnel) {
      if (this.#rest.length > 0) throw new Error('raw bytes that the client did not send')
      return false
    }
    if (this.#at < end) return false
    this.isWhole = true
    if (this.#surroundings.answers === 'at once') this.#answerNow()
    // After an upgrade, the next bytes may be raw.
    if (asked.name === 'upgrade') return this.#rest.length > 0 && this.#unheld()
    this.#current = undefined
    return true
  }

  #answerNow(): void {
    if (!this.canAnswer) return
    this.answer('plain')
    this.send(Number.POSITIVE_INFINITY)
  }

  #unheld(): never {
    throw new Error('bytes after an upgrade that was not answered')
  }

  /** The engine has ended its side: of an idle connection, or after the request of a client that has ended. */
  #ended(): void {
    this.sawEnd = true
    const { open, wire } = this
    if (!open || (wire ? wire.socket.destroyed : this.#isPeerGone())) return
    if (!open.client.hasEnded) throw new Error('an end that no client sent')
    if (!this.isTunnel && open.name === 'upgrade') throw new Error('an end behind an upgrade that was not answered')
    if (!this.isWhole) throw new Error('an end inside a request')
    if (this.isTunnel ? this.#at < open.client.sent : open.end !== open.client.sent)
      throw new Error('an end before the last byte of the client')
  }

  #isPeerGone(): boolean {
    return this.port?.peer.stream.destroyed === true
  }
}
