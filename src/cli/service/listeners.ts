import net from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { Address } from '../config/index.ts'
import {
  type Change,
  changePermissions,
  keepOrOpen,
  type Listener,
  listenAt,
  portOf,
  stopListening,
  urlOf,
  withDescriptors,
} from '../listening/index.ts'

/** Most event loop turns to keep accepting before a socket is closed: twice Node's backlog. */
const MAX_TURNS = 1_022

interface Open {
  text: string
  address: Address
  server: net.Server
  /** Clients speak TLS. A reload may change that. */
  isTls: boolean
}

/** Receives accepted sockets. */
export interface Acceptor {
  /** `isTls`: the client speaks TLS. */
  accept(socket: net.Socket, isTls: boolean): void
  /** Called with a line for each failed accept(). */
  say(line: string): void
}

/** The listening sockets of a service. A reload keeps those whose address stays. */
export class Listeners {
  readonly #acceptor: Acceptor
  readonly #reusePort: boolean
  /** Listeners that `finish` is about to close. */
  #ending: readonly Open[] = []
  #accepted = 0
  #open: readonly Open[] = []

  /** `reusePort`: other processes listen on the same ports (SO_REUSEPORT). */
  constructor(acceptor: Acceptor, reusePort = false) {
    this.#acceptor = acceptor
    this.#reusePort = reusePort
  }

  all(): Listener[] {
    return this.#open.map(({ server, text, isTls }) => ({
      url: text.startsWith('fd:') ? text : urlOf(server, isTls ? 'https' : 'http'),
      isTls,
    }))
  }

  /** Listens on the new addresses. @throws {Error} with a one-line message; then nothing has changed */
  async change(given: readonly Address[]): Promise<Change> {
    const addresses = withDescriptors(given)
    const ports = this.#open.map(({ server }) => portOf(server))
    const undo: (() => void)[] = []
    const abort = () => {
      for (const one of undo) one()
    }
    const open = async (address: Address, text: string) => {
      const server = this.#create(text, (socket) => this.#acceptor.accept(socket, one.isTls))
      const one: Open = { text, address, server, isTls: address.tls === true }
      const options = this.#reusePort && 'port' in address ? { ...address, reusePort: true } : address
      await listenAt(server, options, ports)
      undo.push(() => stopListening(server))
      return one
    }
    const { wanted, left } = await keepOrOpen(this.#open, addresses, open)
      .then((change) => {
        undo.push(changePermissions(change.wanted, addresses))
        return change
      })
      .catch((error: unknown) => {
        abort()
        throw error
      })
    const commit = () => {
      for (const { server } of left) stopListening(server)
      for (const [i, one] of wanted.entries()) one.isTls = addresses[i]!.tls === true
      this.#open = wanted
    }
    return { commit, abort }
  }

  /**
   * Accepts the connections that wait in the kernel, then closes: a close resets those still waiting. Node accepts one
   * connection per socket and turn of the event loop, so the queue is empty after a turn without one.
   */
  async finish(): Promise<void> {
    this.#ending = this.#open
    this.#open = []
    let before: number
    let turns = 0
    do {
      before = this.#accepted
      await setImmediate()
    } while (++turns < 2 || (this.#accepted > before && turns < MAX_TURNS))
    this.close()
  }

  /** Stops listening. Accepted connections stay open. */
  close(): void {
    for (const { server } of [...this.#open, ...this.#ending]) stopListening(server)
    this.#open = []
    this.#ending = []
  }

  #create(text: string, accept: (socket: net.Socket) => void): net.Server {
    const { say } = this.#acceptor
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.#accepted++
      accept(socket)
    })
    // A failed accept(). libuv does not report EMFILE: see DescriptorWatch.
    server.on('error', (error) => server.listening && say(`cannot accept on ${text}: ${error.message}`))
    return server
  }
}
