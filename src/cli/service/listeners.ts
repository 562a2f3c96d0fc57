import { once } from 'node:events'
import { existsSync, lstatSync, rmSync } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import { hostPort } from '../../proxy/index.ts'
import { type Address, addressText } from '../config/index.ts'

/** Bytes that a Unix socket's path has room for. Node cuts a longer one short without a word. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

type Scheme = 'http' | 'https'

/** Where a server listens, as a URL. A browser knows no 'any address': localhost is one of them. */
export function urlOf(server: net.Server, scheme: Scheme): string {
  return urlOfAddress(server.address(), scheme)
}

/** The same of what `server.address()` says. */
export function urlOfAddress(address: ReturnType<net.Server['address']>, scheme: Scheme): string {
  if (address === null || typeof address === 'string') return `unix:${address ?? ''}`
  const isAny = address.address === '::' || address.address === '0.0.0.0'
  return `${scheme}://${hostPort(isAny ? 'localhost' : address.address, address.port)}/`
}

/** Has a server listen. `ours`: the ports that we ourselves may be in its way at. @throws {Error} of one line */
export async function listenAt(
  server: net.Server,
  address: Address,
  ours: readonly (number | undefined)[] = [],
): Promise<void> {
  const isLong = 'path' in address && Buffer.byteLength(address.path) > MAX_PATH_BYTES
  if (isLong)
    throw new Error(`cannot listen on ${addressText(address)}: takes a path of at most ${MAX_PATH_BYTES} bytes`)
  try {
    await tryToListen(server, address)
  } catch (error) {
    if (!('path' in address) || !(await removeStale(address.path, error))) throw explain(address, error, ours)
    await tryToListen(server, address).catch((again: unknown) => {
      throw explain(address, again, ours)
    })
  }
}

async function tryToListen(server: net.Server, address: Address): Promise<void> {
  server.listen(address)
  await once(server, 'listening')
}

/** Takes the file of a Unix socket away that a process left behind. Whether there was one. */
async function removeStale(path: string, error: unknown): Promise<boolean> {
  // A file that is no socket refuses connections just the same, and is somebody's.
  if (codeOf(error) !== 'EADDRINUSE' || !lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return false
  const client = net.connect(path)
  try {
    await once(client, 'connect')
    return false
  } catch (refusal) {
    // EAGAIN for one: somebody is there, with a full backlog.
    if (codeOf(refusal) !== 'ECONNREFUSED') return false
    rmSync(path, { force: true })
    return true
  } finally {
    client.destroy()
  }
}

function explain(address: Address, error: unknown, ours: readonly (number | undefined)[]): Error {
  const reason = reasonOf(address, error as NodeJS.ErrnoException)
  const isOurs = codeOf(error) === 'EADDRINUSE' && 'port' in address && ours.includes(address.port)
  const hint = isOurs ? ' by this very process, which opens what is new before it closes what is old' : ''
  return new Error(`cannot listen on ${addressText(address)}: ${reason}${hint}`, { cause: error })
}

export function portOf(server: net.Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' ? address?.port : undefined
}

function reasonOf(address: Address, { code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      if (!('path' in address)) return 'the address is taken'
      return isSocket(address.path) ? 'somebody listens there' : 'there is a file that is no socket'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address'
    case 'ENOTFOUND':
      return 'the name has no address'
    case 'EACCES':
      // libuv says the same of a directory that does not exist.
      return 'path' in address && !existsSync(dirname(address.path)) ? 'no such directory' : 'permission denied'
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

/** What becomes of the sockets that are accepted. */
export interface Acceptor {
  accept(socket: net.Socket): void
  /** One line on what could not be accepted, each time. */
  say(line: string): void
}

/** A change of where to listen: what is new listens already. */
export interface Change {
  /** What is no longer wanted is closed. */
  commit(): void
  /** What is new is closed. */
  abort(): void
}

/** The sockets that a service listens on. They outlive what becomes of the connections: a reload closes none that stays. */
export class Listeners {
  readonly #acceptor: Acceptor
  readonly #reusePort: boolean
  #open: { place: string; server: net.Server }[] = []

  /** `reusePort`: others listen on the same ports, each by itself. */
  constructor(acceptor: Acceptor, reusePort = false) {
    this.#acceptor = acceptor
    this.#reusePort = reusePort
  }

  urls(scheme: Scheme): string[] {
    return this.#open.map(({ server }) => urlOf(server, scheme))
  }

  /** Begins to listen on all that is new. @throws {Error} of one line; then nothing has changed */
  async change(addresses: readonly Address[]): Promise<Change> {
    const left = [...this.#open]
    const wanted: typeof left = []
    const added: net.Server[] = []
    const abort = () => {
      for (const server of added) server.close()
    }
    for (const address of addresses) {
      const place = addressText(address)
      const at = left.findIndex((one) => one.place === place)
      if (at >= 0) {
        wanted.push(...left.splice(at, 1))
        continue
      }
      const server = this.#create(place)
      const options = this.#reusePort && 'port' in address ? { ...address, reusePort: true } : address
      try {
        await listenAt(
          server,
          options,
          this.#open.map((one) => portOf(one.server)),
        )
      } catch (error) {
        abort()
        throw error
      }
      added.push(server)
      wanted.push({ place, server })
    }
    const commit = () => {
      for (const { server } of left) server.close()
      this.#open = wanted
    }
    return { commit, abort }
  }

  /** Accepts no more. What was accepted stays open. */
  close(): void {
    for (const { server } of this.#open) server.close()
    this.#open = []
  }

  #create(place: string): net.Server {
    const { accept, say } = this.#acceptor
    const server = net.createServer({ allowHalfOpen: true }, accept)
    // An accept() that fails; not one for want of descriptors, of which libuv tells nobody.
    server.on('error', (error) => server.listening && say(`cannot accept on ${place}: ${error.message}`))
    return server
  }
}
