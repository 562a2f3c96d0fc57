import net from 'node:net'
import { type Address, addressText } from '../config/index.ts'
import { listenAt, portOf, urlOfAddress } from '../service/index.ts'

interface Place {
  /** As the config says it. */
  readonly text: string
  /** Where that is: the port is known. */
  readonly address: Address
}

/** Where the workers listen. */
export class Places {
  #taken: readonly Place[] = []

  get addresses(): Address[] {
    return this.#taken.map(({ address }) => address)
  }

  urls(scheme: 'http' | 'https'): string[] {
    return this.addresses.map((address) => {
      if ('path' in address) return urlOfAddress(address.path, scheme)
      return urlOfAddress({ address: address.host ?? '', port: address.port, family: '' }, scheme)
    })
  }

  /**
   * Listens where that is new, for a moment: another program in the way is found, though the workers' own sockets might
   * be let in beside its; what it left behind is taken away, and the system chooses a port once for all.
   * @throws {Error} of one line
   */
  async change(addresses: readonly Address[]): Promise<{ addresses: Address[]; commit(): void }> {
    const left = [...this.#taken]
    const ports = this.addresses.map((address) => ('port' in address ? address.port : undefined))
    const servers: net.Server[] = []
    const places: Place[] = []
    try {
      for (const address of addresses) {
        const text = addressText(address)
        const at = left.findIndex((place) => place.text === text)
        if (at >= 0) {
          places.push(...left.splice(at, 1))
          continue
        }
        const server = net.createServer((socket) => socket.destroy())
        await listenAt(server, address, ports)
        servers.push(server)
        places.push({ text, address: 'path' in address ? address : { port: portOf(server)!, host: hostOf(server) } })
      }
    } finally {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    }
    const commit = () => {
      this.#taken = places
    }
    return { addresses: places.map(({ address }) => address), commit }
  }
}

function hostOf(server: net.Server): string {
  return (server.address() as net.AddressInfo).address
}

/** Whether sockets can share a port here without a common parent: SO_REUSEPORT, from Node 22.12 and 23.1 on. */
export async function canReusePort(): Promise<boolean> {
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
