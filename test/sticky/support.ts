import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { onTestFinished } from 'vitest'
import { type Head, parseHead } from '../../src/parser/index.ts'
import type { ConnectionEvents, Hooks, ProxyError } from '../../src/proxy/index.ts'
import {
  createStickyServer,
  type NextDest,
  type StickyDest,
  type StickyLookup,
  type StickyOptions,
} from '../../src/sticky/index.ts'
import { type Backend, connect, listen } from '../helpers/net.ts'

/** A request head with these lines, each without its CRLF. */
export function requestOf(...lines: string[]): Head {
  return headOf('request', ['GET / HTTP/1.1', 'Host: a.test', ...lines])
}

/** A response head with these lines, each without its CRLF. */
export function responseOf(...lines: string[]): Head {
  return headOf('response', ['HTTP/1.1 200 OK', ...lines])
}

function headOf(kind: 'request' | 'response', lines: string[]): Head {
  return parseHead(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), kind)
}

/** The lines of a head after its start line, as they are sent. */
export function linesOf(head: Head): string[] {
  return head.bytes().toString('latin1').split('\r\n').slice(1, -2)
}

/**
 * The cookie that a browser returns for a Set-Cookie (RFC 6265 5.2, 5.4): everything before the first semicolon,
 * trimmed.
 */
export function cookieFor(setCookie: string): string {
  return setCookie.slice(0, setCookie.search(/;|$/)).replace(/^[ \t]+|[ \t]+$/g, '')
}

/** Starts a sticky server and returns its port. */
export async function startSticky<D extends StickyDest>(
  lookup: StickyLookup<D>,
  options: StickyOptions<D, NextDest<D>> & { errback?: Hooks<D, NextDest<D>>['errback'] } = {},
): Promise<number> {
  const { errback, ...rest } = options
  return await listen(createStickyServer(lookup, errback, rest))
}

/** Sends bytes through the proxy to a backend that answers and closes. Returns the bytes that each end received. */
export async function exchange(
  port: number,
  backend: Backend,
  request: string,
  response: string,
): Promise<{ seen: string; got: string }> {
  const client = await connect(port)
  client.write(request)
  const upstream = await backend.next()
  const seen = await upstream.until('\r\n\r\n')
  upstream.end(response)
  const got = await client.ended()
  client.end()
  return { seen, got }
}

/** The whole response when no backend is reached. */
export async function answerTo(port: number, request: string): Promise<string> {
  const client = await connect(port)
  client.write(request)
  const got = await client.ended()
  client.end()
  return got
}

/** Records the errors of connections to this port until the test ends. */
export function errorsOn(port: number): ProxyError[] {
  const errors: ProxyError[] = []
  const hear = (message: unknown) => {
    const { connection, error } = message as ConnectionEvents['error']
    if (connection.client.localPort === port) errors.push(error)
  }
  subscribe('badass:connection:error', hear)
  onTestFinished(() => void unsubscribe('badass:connection:error', hear))
  return errors
}
