import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { onTestFinished } from 'vitest'
import { type Head, parseHead } from '../../src/parser/index.ts'
import type { ConnectionEvents, ProxyError } from '../../src/proxy/index.ts'
import { createStickyServer, type StickyDest, type StickyLookup, type StickyOptions } from '../../src/sticky/index.ts'
import { type Backend, connect, listen } from '../helpers/net.ts'

/** A request head with these lines as they are, each without its CRLF. */
export function requestOf(...lines: string[]): Head {
  return headOf('request', ['GET / HTTP/1.1', 'Host: a.test', ...lines])
}

/** A response head with these lines as they are, each without its CRLF. */
export function responseOf(...lines: string[]): Head {
  return headOf('response', ['HTTP/1.1 200 OK', ...lines])
}

function headOf(kind: 'request' | 'response', lines: string[]): Head {
  return parseHead(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), kind)
}

/** The lines of a head after its start line, as they go out. */
export function linesOf(head: Head): string[] {
  return head.bytes().toString('latin1').split('\r\n').slice(1, -2)
}

/** What a browser sends back for a Set-Cookie (RFC 6265 5.2, 5.4): all before the first semicolon, without blanks. */
export function cookieFor(setCookie: string): string {
  return setCookie.slice(0, setCookie.search(/;|$/)).replace(/^[ \t]+|[ \t]+$/g, '')
}

/** Starts a sticky server and returns its port. */
export async function startSticky<D extends StickyDest>(
  lookup: StickyLookup<D>,
  options: StickyOptions<D> & { errback?: Parameters<typeof createStickyServer<D>>[1] } = {},
): Promise<number> {
  const { errback, ...rest } = options
  return await listen(createStickyServer(lookup, errback, rest))
}

/** One connection through the proxy to the backend, which answers and ends: what each end received. */
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

/** All that the client gets where no backend is reached. */
export async function answerTo(port: number, request: string): Promise<string> {
  const client = await connect(port)
  client.write(request)
  const got = await client.ended()
  client.end()
  return got
}

/** The errors that connections to this port report, from here to the end of the test. */
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
