import { channel } from 'node:diagnostics_channel'
import net from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import {
  type Connection,
  type ConnectionEvents,
  createServer,
  type Dest,
  type ProxyOptions,
  type ProxyServer,
} from '../../src/index.ts'
import { type Backend, connect, listen } from './net.ts'

export const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export interface Proxy<D extends Dest> {
  server: ProxyServer<D>
  port: number
}

/** A proxy on a free port of loopback until the end of the test. */
export async function startProxy<D extends Dest>(
  options: ProxyOptions<D> | ProxyOptions<D>['lookup'],
): Promise<Proxy<D>> {
  const server = createServer<D>(typeof options === 'function' ? { lookup: options } : options)
  return { server, port: await listen(server) }
}

/** Sends a request on a new connection, and returns all bytes up to the FIN. Throws on a reset. */
export async function ask(port: number, request = GET): Promise<string> {
  const peer = await connect(port)
  peer.write(request)
  return peer.ended()
}

/** One request, ended by the client, and its answer, ended by the backend. Checks that both arrive unchanged. */
export async function converse(port: number, backend: Backend, request = GET): Promise<void> {
  const client = await connect(port)
  client.end(request)
  const peer = await backend.next()
  expect(await peer.ended()).toBe(request)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
}

/** The text of an answer from the engine, without its Date. */
export function answer(status: string, code: string): string {
  const body = `${status}: ${code}\n`
  const head = 'Content-Type: text/plain; charset=utf-8\r\nContent-Length:'
  return `HTTP/1.1 ${status}\r\n${head} ${body.length}\r\nConnection: close\r\n\r\n${body}`
}

export function withoutDate(text: string): string {
  return text.replace(/Date: [^\r]*\r\n/, '')
}

type Name = keyof ConnectionEvents
type Message<K extends Name = Name> = ConnectionEvents[K]

/** Records the messages of the diagnostics channels about the test's connections, in order. */
export class Watch {
  readonly seen: { name: Name; message: Message }[] = []
  readonly #connections = new Set<Connection>()
  #wake: () => void = () => undefined

  constructor() {
    for (const name of ['open', 'routed', 'connected', 'end', 'error', 'close'] as const) {
      const heard = (data: unknown) => {
        const message = data as Message
        if (name === 'open') this.#connections.add(message.connection)
        else if (!this.#connections.has(message.connection)) return
        this.seen.push({ name, message })
        this.#wake()
      }
      const source = channel(`badass:${name === 'end' ? 'request' : 'connection'}:${name}`)
      source.subscribe(heard)
      onTestFinished(() => void source.unsubscribe(heard))
    }
  }

  get names(): Name[] {
    return this.seen.map(({ name }) => name)
  }

  all<K extends Name>(name: K): Message<K>[] {
    return this.seen.filter((one) => one.name === name).map(({ message }) => message as Message<K>)
  }

  /** The error codes so far. */
  get codes(): string[] {
    return this.all('error').map(({ error }) => error.code)
  }

  /** Resolves with the nth message of that name. */
  async until<K extends Name>(name: K, nth = 1): Promise<Message<K>> {
    for (;;) {
      const message = this.all(name)[nth - 1]
      if (message) return message
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** Checks after the file's tests that the process emitted no warning except from hooks, e.g. of too many listeners. */
export function expectNoWarnings(): void {
  const warnings: Error[] = []
  const warned = (warning: Error) => warning.name !== 'BadassWarning' && void warnings.push(warning)
  beforeAll(() => void process.on('warning', warned))
  afterAll(() => {
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })
}

/** Checks after the file's tests that no exception was uncaught and no rejection unhandled. */
export function expectNoCrashes(): void {
  const crashes: unknown[] = []
  const crashed = (cause: unknown) => void crashes.push(cause)
  beforeAll(() => {
    process.on('uncaughtExceptionMonitor', crashed)
    process.on('unhandledRejection', crashed)
  })
  afterAll(() => {
    process.off('uncaughtExceptionMonitor', crashed)
    process.off('unhandledRejection', crashed)
    expect(crashes).toEqual([])
  })
}

/** A socket that keeps connecting until it is destroyed. */
export function stalled(): net.Socket {
  const lookup: net.LookupFunction = () => undefined
  return net.connect({ port: 1, host: 'stalled.test', lookup })
}
