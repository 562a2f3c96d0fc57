import type net from 'node:net'
import type { Address } from '../config/index.ts'

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const FIRST = 3
/** The name of descriptors without one (sd_listen_fds_with_names(3)). */
const UNNAMED = 'unknown'

/** Descriptors that were closed. Their numbers may belong to other files by now. */
const closed = new Set<number>()
const servers = new WeakMap<net.Server, number>()

/**
 * The addresses with each `fd:NAME` replaced by one for each descriptor of that name, as `LISTEN_FDS`, `LISTEN_FDNAMES`
 * and `LISTEN_PID` announce them. Addresses that have their descriptor stay.
 * @throws {Error} with a one-line message if there is none
 */
export function withDescriptors(addresses: readonly Address[]): Address[] {
  return addresses.flatMap((address) => {
    if (!('fd' in address) || address.at !== undefined) return address
    const all = passed().flatMap((name, i) => (name === address.fd ? [{ ...address, at: FIRST + i }] : []))
    const open = all.filter(({ at }) => !closed.has(at))
    if (open.length > 0) return open
    throw new Error(`cannot listen on fd:${address.fd}: ${all.length > 0 ? 'an earlier reload closed it' : whyNone()}`)
  })
}

/** Records the descriptor of a server that has begun to listen. */
export function rememberDescriptor(server: net.Server, at: number): void {
  servers.set(server, at)
}

/** The server is about to close its descriptor, if it has one of these. */
export function closeDescriptorOf(server: net.Server): void {
  const at = servers.get(server)
  if (at !== undefined) forgetDescriptor(at)
}

/** The descriptor is not used again. */
export function forgetDescriptor(at: number): void {
  closed.add(at)
}

/** The names of the passed descriptors, in their order. */
function passed(): string[] {
  const { LISTEN_FDS, LISTEN_FDNAMES = '', LISTEN_PID } = process.env
  // The variables may be meant for a process that has started this one.
  if (Number(LISTEN_PID) !== process.pid) return []
  const names = LISTEN_FDNAMES.split(':')
  return Array.from({ length: Math.max(0, Number(LISTEN_FDS) || 0) }, (_, i) => names[i] || UNNAMED)
}

function whyNone(): string {
  const names = passed()
  if (names.length === 0) return 'no sockets were passed (LISTEN_FDS and LISTEN_PID)'
  return `expected one of the passed sockets, ${names.join(', ')}`
}
