import type net from 'node:net'
import type { ClientInfo, Connection, Head } from '../../index.ts'
import { clientOf, subscribe } from '../../proxy/index.ts'
import type { Config } from '../config/index.ts'
import type { ServiceCounters } from '../counters.ts'
import { type Io, RepeatFilter } from '../output.ts'
import type { Certificates } from './certificates.ts'
import { ClientConnections } from './client-connections.ts'
import { ClientKeys } from './client-keys.ts'
import { TurnAway } from './turn-away.ts'

const STATUS = '429 Too Many Requests'
const TOO_MANY = 'too many connections from this address'

/** The limits for each client. Clients over a limit get a 429. */
export class ClientLimits {
  readonly #lines: RepeatFilter
  readonly #connections = new ClientConnections()
  readonly #over = new TurnAway({ status: STATUS, why: TOO_MANY, fields: ['Retry-After: 1'] })
  #keys: ClientKeys | undefined
  /** The clients of requests under way that came through a trusted proxy, by the proxy's connection. */
  readonly #requests = new Map<ClientInfo, string>()
  #stops: readonly (() => void)[] = []
  #limitedRequests = 0

  constructor(say: Io['say']) {
    this.#lines = new RepeatFilter(say)
  }

  get counters(): Pick<ServiceCounters, 'limitedConnections' | 'limitedRequests'> {
    return { limitedConnections: this.#over.count, limitedRequests: this.#limitedRequests }
  }

  /** Settings for connections and requests from now on. */
  use(certificates: Certificates | undefined, config: Config): void {
    const { maxConnectionsPerClient: limit } = config
    this.#connections.limit = limit ?? Number.POSITIVE_INFINITY
    this.#keys = limit === undefined ? undefined : new ClientKeys(config)
    if (limit !== undefined) this.#over.use(certificates, undefined)
    if (limit === undefined || config.trust.length === 0) this.#stop()
    else if (this.#stops.length === 0) this.#stops = [subscribe('end', this.#ended), subscribe('close', this.#ended)]
  }

  /** Counts a connection for its client until it closes. Returns false if it is over the limit: then it is answered here. */
  takeConnection(socket: net.Socket, isTls: boolean): boolean {
    const client = this.#keys?.ofConnection(clientOf(socket))
    if (client === undefined) return true
    if (this.#connections.take(client)) {
      socket.once('close', () => this.#connections.release(client))
      return true
    }
    this.#report(client)
    this.#over.take(socket, isTls)
    return false
  }

  /**
   * Counts a request for its client until it is answered, if it came through a trusted proxy. Otherwise its connection is
   * counted. Returns whether it is over the limit.
   */
  isOver(keys: ClientKeys, head: Head, client: ClientInfo): boolean {
    if (this.#stops.length === 0 || keys.ofConnection(client) !== undefined) return false
    const own = keys.ofRequest(head, client)
    if (own === undefined) return false
    if (this.#connections.take(own)) {
      this.#requests.set(client, own)
      return false
    }
    this.#limitedRequests++
    this.#report(own)
    return true
  }

  /** The answer to a request over the limit. Undefined for HTTP/2, whose clients could not read it: they are reset. */
  answer(head: Head): Response | undefined {
    if (head.version === 'HTTP/2.0') return undefined
    const headers = { 'Content-Type': 'text/plain', 'Retry-After': '1' }
    return new Response(`${STATUS}: ${TOO_MANY}\n`, { status: 429, headers })
  }

  /** Destroys the connections that are being answered. */
  destroy(): void {
    this.#stop()
    this.#over.destroy()
  }

  readonly #ended = ({ connection }: { connection: Connection }): void => {
    const client = this.#requests.get(connection.client)
    if (client === undefined) return
    this.#requests.delete(connection.client)
    this.#connections.release(client)
  }

  #stop(): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
    for (const client of this.#requests.values()) this.#connections.release(client)
    this.#requests.clear()
  }

  #report(client: string): void {
    const { limit } = this.#connections
    this.#lines.say(
      'connections',
      `max-connections-per-client: ${client} has reached the limit of ${limit} and gets a 429`,
    )
  }
}
