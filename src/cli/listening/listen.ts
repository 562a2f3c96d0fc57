import { once } from 'node:events'
import { existsSync, lstatSync } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import { hostPort } from '../../proxy/index.ts'
import { type Address, addressText } from '../config/index.ts'
import { rememberDescriptor } from './descriptors.ts'
import { setPermissions } from './permissions.ts'
import { idOfSocket, remember, stopListening, takeAway } from './socket-file.ts'

/** Longest path of a Unix socket in bytes. Node silently truncates longer ones. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

type Scheme = 'http' | 'https'

/** The URL that a server listens on. */
export function urlOf(server: net.Server, scheme: Scheme): string {
  return urlOfAddress(server.address(), scheme)
}

/** The URL of a `server.address()`. '*' stands for '::', which Node binds for IPv4 too. 0.0.0.0 is IPv4 only and stays. */
export function urlOfAddress(address: ReturnType<net.Server['address']>, scheme: Scheme): string {
  if (address === null || typeof address === 'string') return `unix:${address ?? ''}`
  const host = address.address === '::' ? '*' : address.address
  return `${scheme}://${hostPort(host, address.port)}/`
}

/** Starts a server. `ours`: ports that this process itself may occupy. @throws {Error} with a one-line message */
export async function listenAt(
  server: net.Server,
  address: Address,
  ours: readonly (number | undefined)[] = [],
): Promise<void> {
  const isLong = 'path' in address && Buffer.byteLength(address.path) > MAX_PATH_BYTES
  if (isLong)
    throw new Error(`cannot listen on ${addressText(address)}: the path is longer than ${MAX_PATH_BYTES} bytes`)
  try {
    await tryToListen(server, address)
  } catch (error) {
    if (!('path' in address) || !(await removeStale(address.path, error))) throw explain(address, error, ours)
    await tryToListen(server, address).catch((again: unknown) => {
      throw explain(address, again, ours)
    })
  }
  try {
    setPermissions(address)
  } catch (error) {
    stopListening(server)
    throw error
  }
}

async function tryToListen(server: net.Server, address: Address): Promise<void> {
  server.listen('fd' in address ? { fd: address.at! } : address)
  await once(server, 'listening')
  if ('fd' in address) rememberDescriptor(server, address.at!)
  if ('path' in address) remember(server, address.path)
}

/** Removes a Unix socket that a dead process left behind. Returns whether there was one. */
async function removeStale(path: string, error: unknown): Promise<boolean> {
  // Other files refuse connections too, but must not be removed.
  const id = codeOf(error) === 'EADDRINUSE' ? idOfSocket(path) : undefined
  if (id === undefined) return false
  const client = net.connect(path)
  try {
    await once(client, 'connect')
    return false
  } catch (refusal) {
    // Another code, such as EAGAIN (full backlog), means that a process listens.
    if (codeOf(refusal) !== 'ECONNREFUSED') return false
    takeAway(path, id)
    return true
  } finally {
    client.destroy()
  }
}

function explain(address: Address, error: unknown, ours: readonly (number | undefined)[]): Error {
  const reason = reasonOf(address, error as NodeJS.ErrnoException)
  const isOurs = codeOf(error) === 'EADDRINUSE' && 'port' in address && ours.includes(address.port)
  const hint = isOurs ? ' by this process, which opens new addresses before it closes old ones' : ''
  return new Error(`cannot listen on ${addressText(address)}: ${reason}${hint}`, { cause: error })
}

export function portOf(server: net.Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' ? address?.port : undefined
}

function reasonOf(address: Address, { code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      if (!('path' in address)) return 'the address is in use'
      return isSocket(address.path) ? 'another process listens there' : 'the file is not a socket'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address'
    case 'ENOTFOUND':
      return 'the name has no address'
    case 'EACCES':
      // libuv reports a missing directory as EACCES too.
      return 'path' in address && !existsSync(dirname(address.path)) ? 'no such directory' : 'permission denied'
    case 'EBADF':
    case 'EINVAL':
    case 'ENOTSOCK':
    case 'ERR_INVALID_FD_TYPE':
      return 'fd' in address ? `descriptor ${address.at} is not a socket that can listen` : message
    default:
      return message
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
