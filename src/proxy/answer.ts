import type net from 'node:net'
import type { Readable } from 'node:stream'
import { ResponseSource } from './response.ts'
import { destroy } from './socket.ts'
import { type Context, LINGER_MS } from './states.ts'
import { discard, Flow } from './tunnel/index.ts'

/** Sends the last answer on a client's connection. Reads and drops the bytes that the client still sends. */
export class Answer {
  readonly #client: net.Socket
  readonly #context: Context
  readonly #stopDiscarding: () => void
  #source: Readable | undefined
  #flow: Flow | undefined

  constructor(client: net.Socket, context: Context) {
    this.#client = client
    this.#context = context
    context.machine.enter('Replying')
    this.#stopDiscarding = discard(client)
  }

  /** Sends a whole response. */
  send(bytes: Buffer): void {
    this.#context.headSent(bytes.indexOf('\r\n\r\n') + 4)
    this.#client.end(bytes)
    this.#linger()
  }

  /** Sends no answer. Ends the connection after the client has received the earlier bytes. */
  finish(): void {
    const { machine, settings, failed } = this.#context
    machine.arm(settings.halfCloseTimeout, () => failed('HALF_CLOSE_TIMEOUT'))
    this.#client.end(() => machine.state === 'Replying' && this.#linger())
  }

  /** Sends the bytes of a stream. Fails with REPLY_FAILED if the stream fails or closes before its end. */
  sendFrom(source: Readable): void {
    const { machine, settings, failed, headSent } = this.#context
    this.#source = source
    if (source instanceof ResponseSource) source.headSent = headSent
    const flow = new Flow(source, this.#client, {
      moved: () => machine.refresh(),
      changed: () => flow.state === 'flushed' && this.#linger(),
    })
    this.#flow = flow
    const broken = (cause?: unknown) => {
      if (machine.state === 'Replying' && flow.state === 'open') failed('REPLY_FAILED', cause)
    }
    source.on('error', broken)
    source.on('close', () => broken())
    if (source.destroyed) return broken(source.errored)
    machine.arm(settings.halfCloseTimeout, () => failed('HALF_CLOSE_TIMEOUT'))
    flow.start()
  }

  /** Releases the client, and destroys the stream. */
  stop(): void {
    this.#stopDiscarding()
    this.#flow?.stop()
    if (this.#source) destroy(this.#source)
  }

  #linger(): void {
    this.#context.machine.arm(LINGER_MS, () => this.#context.over())
  }
}
