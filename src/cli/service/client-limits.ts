import type net from 'node:net'
import type { ClientInfo, Connection, Head } from '../../index.ts'
import { clientOf, subscribe } from '../../proxy/index.ts'
import type { Config } from '../config/index.ts'
import type { ServiceCounters } from '../counters.ts'
import { type Io, RepeatFilter } from '../output.ts'
import type { Certificates } from './certificates.ts'
import { ClientConnections } from './client-connections.ts'
import { ClientKeys } from './client-keys.ts'
import { TokenBuckets } from './token-buckets.ts'
import { TurnAway } from './turn-away.ts'

const STATUS = '429 Too Many Requests'
const TOO_MANY = 'too many connections from this address'
const TOO_FAST = 'too many requests from this address'
/** ms after which a client over its limit of connections may try again. */
const RETRY_MS = 1_000

/** The limits for each client. Clients over a limit get a 429. */
export class ClientLimits {
  readonly #lines: RepeatFilter
  readonly #now: () => number
  readonly #connections = new ClientConnections()
  readonly #over = new TurnAway({ status: STATUS, why: TOO_MANY, fields: ['Retry-After: 1'] })
  #keys: ClientKeys | undefined
  #buckets: TokenBuckets | undefined
  /** The clients of requests under way that came through a trusted proxy, by the proxy's connection. */
  readonly #requests = new Map<ClientInfo, string>()
  #stops: readonly (() => void)[] = []
  #limitedRequests = 0

  /** `now` returns monotonic ms. */
  constructor(say: Io['say'], now = () => performance.now()) {
    this.#lines = new RepeatFilter(say)
    this.#now = now
  }

  get counters(): Pick<ServiceCounters, 'limitedConnections' | 'limitedRequests'> {
    return { limitedConnections: this.#over.count, limitedRequests: this.#limitedRequests }
  }

  /** Settings for connections and requests from now on. */
  use(certificates: Certificates | undefined, config: Config): void {
    const { maxConnectionsPerClient: limit, rate } = config
    if (!rate) this.#buckets = undefined
    else if (this.#buckets) this.#buckets.change(rate, this.#now())
    else this.#buckets = new TokenBuckets(rate)
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

  /** Counts a request for its client. Returns the answer to a request over a limit. */
  refuse(keys: ClientKeys, head: Head, client: ClientInfo): { answer: Response | undefined } | undefined {
    // The connections of other clients than proxies are counted themselves.
    const isCounted = this.#stops.length > 0 && keys.ofConnection(client) === undefined
    if (!isCounted && !this.#buckets) return undefined
    const own = keys.ofRequest(head, client)
    if (own === undefined) return undefined
    const wait = this.#buckets?.take(own, this.#now()) ?? 0
    if (wait > 0) {
      this.#lines.say('rate', `rate: ${own} is over its limit and gets a 429`)
      return this.#answer(head, TOO_FAST, wait)
    }
    if (!isCounted) return undefined
    if (!this.#connections.take(own)) {
      this.#report(own)
      return this.#answer(head, TOO_MANY, RETRY_MS)
    }
    this.#requests.set(client, own)
    return undefined
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

  /** Clients of HTTP/2 could not read an answer, so they are reset. */
  #answer(head: Head, why: string, wait: number): { answer: Response | undefined } {
    this.#limitedRequests++
    if (head.version === 'HTTP/2.0') return { answer: undefined }
    const headers = { 'Content-Type': 'text/plain', 'Retry-After': String(Math.ceil(wait / 1_000)) }
    return { answer: new Response(`${STATUS}: ${why}\n`, { status: 429, headers }) }
  }

  #report(client: string): void {
    const { limit } = this.#connections
    this.#lines.say(
      'connections',
      `max-connections-per-client: ${client} has reached the limit of ${limit} and gets a 429`,
    )
  }
}
