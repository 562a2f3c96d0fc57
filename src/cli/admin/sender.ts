import type http from 'node:http'
import { pipeline, Readable } from 'node:stream'
import type { Answer } from './guards.ts'

/** Most bytes of bodies that are being sent. */
const MOST_BYTES = 64 << 20

/** Sends answers. Clients that read slowly, or not at all, cannot fill the memory: the oldest answers are cut. */
export class Sender {
  readonly #headers: http.OutgoingHttpHeaders
  /** The responses that have a body, which requests may share. The oldest body comes first. */
  readonly #unread = new Map<Answer['body'], Set<http.ServerResponse>>()
  #bytes = 0

  /** `headers`: of every answer. */
  constructor(headers: http.OutgoingHttpHeaders) {
    this.#headers = headers
  }

  send(response: http.ServerResponse, { status, headers, body }: Answer): void {
    // The client has left.
    if (response.destroyed) return
    this.#hold(body, response)
    response.writeHead(status, { ...this.#headers, ...headers, 'Content-Length': lengthOf(body) })
    if (body instanceof Uint8Array) response.end(body)
    // To join megabytes, or to write them at once, would delay clients. One that leaves is no error.
    else pipeline(Readable.from(body), response, () => undefined)
  }

  #hold(body: Answer['body'], response: http.ServerResponse): void {
    const responses = this.#unread.get(body) ?? new Set()
    if (responses.size === 0) this.#bytes += lengthOf(body)
    this.#unread.set(body, responses.add(response))
    response.on('close', () => {
      responses.delete(response)
      if (responses.size === 0) this.#forget(body)
    })
    for (const [oldest, others] of this.#unread) {
      if (this.#bytes <= MOST_BYTES || oldest === body) break
      this.#forget(oldest)
      for (const other of others) other.destroy()
    }
  }

  #forget(body: Answer['body']): void {
    if (this.#unread.delete(body)) this.#bytes -= lengthOf(body)
  }
}

function lengthOf(body: Answer['body']): number {
  return body instanceof Uint8Array ? body.length : body.reduce((sum, { length }) => sum + length, 0)
}
