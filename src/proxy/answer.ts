import type net from 'node:net'
import type { Readable } from 'node:stream'
import { Flow } from './flow.ts'
import type { Context } from './states.ts'

/** ms for a client to read a whole answer and end its side; then it is closed on. */
const LINGER_MS = 5_000

/** What a client gets in place of a backend's response. What it still sends is read and dropped. */
export class Answer {
  readonly #client: net.Socket
  readonly #context: Context
  #source: Readable | undefined
  #flow: Flow | undefined

  constructor(client: net.Socket, context: Context) {
    this.#client = client
    this.#context = context
    context.life.enter('Replying')
    // Closed with bytes unread, the client would be reset, and lose the answer.
    client.resume()
  }

  send(bytes: Buffer): void {
    this.#client.end(bytes)
    this.#linger()
  }

  /** Sends what the stream gives, up to its end. */
  sendFrom(source: Readable): void {
    const { life, settings, failed } = this.#context
    this.#source = source
    const flow = new Flow(source, this.#client, {
      moved: () => life.refresh(),
      changed: () => flow.state === 'flushed' && this.#linger(),
    })
    this.#flow = flow
    const broken = (cause?: unknown) => {
      if (life.state === 'Replying' && flow.state === 'open') failed('REPLY_FAILED', cause)
    }
    source.on('error', broken)
    source.on('close', () => broken())
    if (source.destroyed) return broken(source.errored)
    life.arm(settings.halfCloseTimeout, () => failed('HALF_CLOSE_TIMEOUT'))
    flow.start()
  }

  /** Lets go of the stream, whether or not it has ended. */
  stop(): void {
    this.#flow?.stop()
    this.#source?.destroy()
  }

  #linger(): void {
    this.#context.life.arm(LINGER_MS, () => this.#context.over())
  }
}
