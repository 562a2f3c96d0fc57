import type net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import type tls from 'node:tls'
import type { ProxyVersion } from '../parser/index.ts'
import { show } from '../show.ts'
import { hookError } from './hook-error.ts'
import { HOST_HEADER, serverNameOf } from './host-header.ts'
import { type RequestLine, type ResponseSource, readResponse } from './response.ts'
import { isReadable, isServer } from './socket.ts'

interface OverTls {
  /** Connect over TLS. True, or options of `tls.connect`. The server name is `host` unless the options set it. */
  tls?: boolean | tls.ConnectionOptions | undefined
}

interface Announcing {
  /** Send the client's address to the backend in a PROXY header of this version, before all other bytes and TLS. */
  sendProxy?: ProxyVersion | undefined
}

interface Renaming {
  /**
   * The Host of requests to this backend, as in 'example.com' or 'example.com:8080', in place of the one that the client
   * sent. It is the TLS server name too, unless the options of `tls` set one. In responses, `Location` and
   * `Content-Location` with this host become paths, and the `Domain` of cookies is removed if it is this host. With
   * `requests: 'first'`, only for the first request of a connection and its response.
   */
  hostHeader?: string | undefined
}

interface Retrying {
  /**
   * With `requests: 'every'`, false stops a request from using connections of other clients, and from being sent again
   * if its connection fails before the response (RFC 9110 9.2.2). Default true.
   */
  retry?: boolean | undefined
}

type Common = OverTls & Announcing & Renaming & Retrying
type PortDest = { port: number; host?: string | undefined } & Common
type PathDest = { path: string } & Common
type ServerDest = { server: net.Server }
type ConnectDest = { connect(): Duplex | Promise<Duplex> } & Common

/**
 * The destination of a connection. Any object with one of these forms is a Dest. Hooks get the same object back. If it
 * has several forms, `connect` comes first, then `server`, then `path`, then `port`.
 */
export type Dest =
  /** A TCP port from 1 to 65535. The default host is 'localhost'. */
  | PortDest
  /** The path of a Unix socket. */
  | PathDest
  /** A server of this process. With `requests: 'first'` it gets the client's socket, and `modify` is not called. */
  | ServerDest
  /** A function that returns a connected or connecting stream, or a promise of it. Called once per attempt. */
  | ConnectDest

export type StreamDest = Exclude<Dest, ServerDest>

interface Transport {
  /** A copy of the options of `tls.connect`. Undefined for plain text. */
  tls: tls.ConnectionOptions | undefined
  sendProxy: ProxyVersion | undefined
  /** The request may use a connection of other clients, and may be sent again if the connection fails. */
  retry: boolean
  /** The Host of the request. Undefined: the client's. */
  hostHeader: string | undefined
}

/** A backend whose socket the engine opens itself. */
export type SocketTarget = Transport & ({ kind: 'port'; port: number; host: string } | { kind: 'path'; path: string })

/** A backend that the engine sends bytes to over a stream. */
export type StreamTarget = SocketTarget | ConnectTarget

/** `source` is the function or server that makes the stream. It identifies connections to the same destination. */
type ConnectTarget = Transport & { kind: 'connect'; connect(): Duplex | Promise<Duplex>; source: object }

/** The plain values of a Dest. The getters of a user's Dest may return other values, or throw, on the next read. */
export type Target = StreamTarget | { kind: 'server'; server: net.Server }

/** Reads each property of a Dest once. Returns undefined for other values. Throws the errors of the Dest's getters. */
export function readDest(value: unknown): Target | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const dest = value as { [name: string]: unknown }
  // A property with the wrong type belongs to the user: `{ port: 80, server: 'blue' }` is a port.
  const { connect } = dest
  if (typeof connect === 'function') {
    return { kind: 'connect', connect: () => Reflect.apply(connect, dest, []), source: connect, ...transportOf(dest) }
  }
  const { server } = dest
  if (isServer(server)) return { kind: 'server', server }
  const { path } = dest
  if (typeof path === 'string' && path !== '') return { kind: 'path', path, ...transportOf(dest) }
  const { port } = dest
  if (!isPort(port)) return undefined
  const host = hostOf(dest)
  const { tls, sendProxy, retry, hostHeader } = transportOf(dest)
  // Spreading an object would cost more than the rest of this function.
  return { kind: 'port', port, host, tls, sendProxy, retry, hostHeader }
}

/** @throws {TypeError} if it is no string: Node would abort on an array */
function hostOf({ host }: { [name: string]: unknown }): string {
  if (typeof host === 'string') return host
  if (host === undefined || host === null) return 'localhost'
  throw wrongValue('host', 'a string', host)
}

function transportOf(dest: { [name: string]: unknown }): Transport {
  const { tls, sendProxy, retry } = dest
  const hostHeader = hostHeaderOf(dest)
  return {
    tls: tls ? tlsOptionsOf(tls, hostHeader) : undefined,
    sendProxy: proxyVersionOf(sendProxy),
    retry: retry !== false,
    hostHeader,
  }
}

/** @throws {TypeError} if the server name is no string: `tls.connect` would leave a TLS socket without listeners */
function tlsOptionsOf(tls: unknown, hostHeader: string | undefined): tls.ConnectionOptions {
  const servername = hostHeader === undefined ? undefined : serverNameOf(hostHeader)
  const options: tls.ConnectionOptions = { ...(servername !== undefined && { servername }), ...(tls as object) }
  const given: unknown = options.servername
  if (given === undefined || given === null || typeof given === 'string') return options
  throw wrongValue('tls.servername', 'a string', given)
}

/** @throws {TypeError} if it is no version of the PROXY protocol */
function proxyVersionOf(sendProxy: unknown): ProxyVersion | undefined {
  if (sendProxy === undefined || sendProxy === 1 || sendProxy === 2) return sendProxy
  throw wrongValue('sendProxy', '1 or 2', sendProxy)
}

/** @throws {TypeError} if it is no Host: it would be sent as it is */
function hostHeaderOf({ hostHeader }: { [name: string]: unknown }): string | undefined {
  if (HOST_HEADER.validate(hostHeader)) return hostHeader as string | undefined
  throw wrongValue('hostHeader', HOST_HEADER.expected, hostHeader)
}

function wrongValue(name: string, expected: string, value: unknown): TypeError {
  return hookError(`dest.${name}: expected ${expected}, got ${show(value, 100)}`)
}

function isPort(port: unknown): port is number {
  return Number.isInteger(port) && (port as number) > 0 && (port as number) <= 65_535
}

/** The plain values of a hook's result. */
export type Outcome =
  | { kind: 'nothing' }
  | { kind: 'unknown'; value: unknown }
  | { kind: 'readable'; source: Readable }
  /** The bytes of a Response. */
  | { kind: 'response'; source: ResponseSource }
  | { kind: 'dest'; dest: Dest; target: Target }

/** Reads a hook's result once. Throws the errors of its getters, and a TypeError for a Response that cannot be sent. */
export function readOutcome(value: unknown, requestLine: RequestLine): Outcome {
  if (value === undefined || value === null) return { kind: 'nothing' }
  if (isReadable(value)) return { kind: 'readable', source: value }
  const source = typeof value === 'object' ? readResponse(value, requestLine) : undefined
  if (source) return { kind: 'response', source }
  const target = readDest(value)
  return target ? { kind: 'dest', dest: value as Dest, target } : { kind: 'unknown', value }
}

/** The error for an invalid hook result. It names properties, but not their values, which may be secret. */
export function wrongResult(hook: 'lookup' | 'errback', outcome: Outcome): TypeError {
  const got = 'value' in outcome ? describe(outcome.value) : 'a Readable'
  const expected = 'a Dest with port (1 to 65535), path, server or connect, a Response'
  return hookError(
    `${hook} returned ${got}; expected ${expected}${hook === 'errback' ? ', a Readable, or nothing' : ', or nothing'}`,
  )
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return show(value, 100)
  try {
    const names = Object.keys(value).slice(0, 10)
    if (names.length > 0) return `an object with ${names.map((name) => show(name, 100)).join(', ')}`
  } catch {
    // A Proxy object may throw.
  }
  return show(value, 100)
}
