import { AsyncLocalStorage } from 'node:async_hooks'
import type net from 'node:net'
import type { ProxyErrorCode } from '../error.ts'
import type { ProxyHeader } from './scanner.ts'

/** What became of the PROXY header of a connection: what it says, or why it was refused. */
export type Arrival = ProxyHeader | { readonly code: ProxyErrorCode; readonly cause: unknown }

const arrivals = new WeakMap<net.Socket, Arrival>()

/** A TLS socket and the one under it have no public link: what is told in the course of the handshake knows whose it is. */
const arriving = new AsyncLocalStorage<ProxyHeader>()

/** Remembers for a socket what was read, or refused, before it was given on. */
export function remember(socket: net.Socket, arrival: Arrival): void {
  arrivals.set(socket, arrival)
}

export function arrivalOf(socket: net.Socket): Arrival | undefined {
  return arrivals.get(socket)
}

/** Gives a socket on to where TLS begins. */
export function arrive(header: ProxyHeader, giveOn: () => void): void {
  arriving.run(header, giveOn)
}

/** A listener of 'secureConnection': to the TLS socket, the header of the one under it. No byte of it came by TLS. */
export function link(socket: net.Socket): void {
  const header = arriving.getStore()
  if (header) remember(socket, { ...header, length: 0 })
}
