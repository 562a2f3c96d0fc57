import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { type Address, addressText } from '../config/index.ts'
import {
  changePermissions,
  forgetDescriptor,
  idOfSocket,
  keepOrOpen,
  type Listener,
  listenAt,
  portOf,
  setPermissions,
  takeAway,
  urlOfAddress,
  withDescriptors,
} from '../listening/index.ts'

interface Reserved {
  /** The address as the config has it. */
  readonly text: string
  /** The same with a concrete port. */
  address: Address
  /** Where the workers listen. */
  readonly shared: Address
  /** Clients speak TLS. A reload may change that. */
  isTls: boolean
  /** Identifies the socket file at the address, once there is one of ours. */
  id?: string | undefined
}

/** A change of addresses that has been checked. */
interface Change {
  /** Where the workers are to listen. */
  readonly addresses: Address[]
  /** Gives the socket files their names, once a worker listens. @throws {Error} with a one-line message */
  publish(): void
  /** Puts the new addresses in force, and removes the socket files of the old. */
  commit(): void
  /** Takes back what has changed already. */
  abort(): void
}

/**
 * The addresses on which all workers listen. For a Unix socket they listen on a temporary path, which is then renamed to
 * the path of the config. When the last worker closes it, libuv removes the file at the path where it listened, and the
 * config's path may belong to a successor by then.
 */
export class SharedAddresses {
  #taken: readonly Reserved[] = []

  /** Where the workers are to listen. */
  get addresses(): Address[] {
    return this.#taken.map(({ shared, isTls }) => ({ ...shared, tls: isTls }))
  }

  all(): Listener[] {
    return this.#taken.map(({ address, isTls }) => ({ url: urlOf(address, isTls ? 'https' : 'http'), isTls }))
  }

  /**
   * Listens briefly on each new address. This finds other programs on it (SO_REUSEPORT would let the workers in beside
   * them), removes stale Unix sockets, and lets the system choose one port for all workers.
   * @throws {Error} with a one-line message
   */
  async change(given: readonly Address[]): Promise<Change> {
    const addresses = withDescriptors(given)
    const ports = this.#taken.map(({ address }) => ('port' in address ? address.port : undefined))
    const servers: net.Server[] = []
    const reserve = async (address: Address, text: string): Promise<Reserved> => {
      const isTls = address.tls === true
      // The workers listen on the primary's descriptor. A close would end it.
      if ('fd' in address) return { text, address, shared: address, isTls }
      const server = net.createServer((socket) => socket.destroy())
      await listenAt(server, address, ports)
      servers.push(server)
      return { text, ...placeOf(server, address), isTls }
    }
    try {
      const { wanted, left } = await keepOrOpen(this.#taken, addresses, reserve)
      const abort = changePermissions(wanted, addresses)
      const commit = () => {
        retract(left)
        for (const { address } of left) if ('fd' in address) forgetDescriptor(address.at!)
        for (const [i, one] of wanted.entries()) one.isTls = addresses[i]!.tls === true
        this.#taken = wanted
      }
      const forWorkers = wanted.map(({ shared }, i) => ({ ...shared, tls: addresses[i]!.tls === true }))
      return { addresses: forWorkers, publish: () => publish(wanted), commit, abort }
    } finally {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    }
  }

  /** Names the socket files that a worker has made anew. @throws {Error} with a one-line message */
  publish(): void {
    publish(this.#taken)
  }

  /** Removes the socket files: nobody can connect any more. */
  retract(): void {
    retract(this.#taken)
  }
}

function urlOf(address: Address, scheme: 'http' | 'https'): string {
  if ('fd' in address) return addressText(address)
  if ('path' in address) return urlOfAddress(address.path, scheme)
  return urlOfAddress({ address: address.host ?? '', port: address.port, family: '' }, scheme)
}

function placeOf(server: net.Server, address: Address): Pick<Reserved, 'address' | 'shared'> {
  if ('path' in address) {
    const name = `.${randomBytes(4).toString('hex')}`
    return { address, shared: { path: join(dirname(address.path), name) } }
  }
  const bound = { port: portOf(server)!, host: hostOf(server) }
  return { address: bound, shared: bound }
}

function publish(reserved: readonly Reserved[]): void {
  const isNew = reserved.map(({ id }) => id === undefined)
  for (const one of reserved) {
    const { address, shared, text } = one
    if (!('path' in address && 'path' in shared) || idOfSocket(shared.path) === undefined) continue
    // All workers had ended: their socket is dead.
    if (one.id !== undefined) takeAway(address.path, one.id)
    try {
      setPermissions(address, shared.path)
      linkSync(shared.path, address.path)
    } catch (error) {
      retract(reserved.filter((_, i) => isNew[i]))
      const isTaken = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw isTaken ? new Error(`cannot listen on ${text}: another process listens there`) : error
    }
    one.id = idOfSocket(address.path)
    rmSync(shared.path)
  }
}

function retract(reserved: readonly Reserved[]): void {
  for (const one of reserved) {
    if ('path' in one.address && one.id !== undefined) takeAway(one.address.path, one.id)
    one.id = undefined
  }
}

function hostOf(server: net.Server): string {
  return (server.address() as net.AddressInfo).address
}

/** Where Linux says whether clients that wait at a closed socket move to another one of its group. */
const MIGRATION = '/proc/sys/net/ipv4/tcp_migrate_req'

/**
 * Whether each worker can have a socket of its own (SO_REUSEPORT: Node 22.12, 23.1 and later) and a worker can end
 * without a reset of the clients that wait there.
 */
export async function canReusePort(): Promise<boolean> {
  if (!migratesClients()) return false
  const servers = [net.createServer(), net.createServer()]
  try {
    let port = 0
    for (const server of servers) {
      const options = { port, host: '127.0.0.1', reusePort: true }
      await listenAt(server, options)
      port = portOf(server)!
    }
    return true
  } catch {
    return false
  } finally {
    for (const server of servers) server.close()
  }
}

function migratesClients(): boolean {
  try {
    return readFileSync(MIGRATION, 'latin1').trim() !== '0'
  } catch {
    return false // not Linux, or before 5.14
  }
}
