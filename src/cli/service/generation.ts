import type net from 'node:net'
import {
  type Balancer,
  type ClientInfo,
  type Connection,
  createServer,
  createStickyServer,
  type Dest,
  type Head,
  type ProxyError,
  type ProxyServer,
} from '../../index.ts'
import { after, hear, isExhausted, messageOf } from '../../proxy/index.ts'
import { type Config, firstLineOf } from '../config/index.ts'
import { askToClose } from './connection-field.ts'
import { Forwarded } from './forwarded.ts'
import { sparingly } from './output.ts'

/** What a generation has in common with the others of its service. */
export interface Shared {
  readonly balancer: Balancer
  /** A request came, which nobody has written to yet. */
  requested(head: Head, client: ClientInfo): void
  /** One line for people. */
  say(line: string): void
  /** One on what this machine lacks, not at every connection. */
  sayLack(line: string): void
}

/** A proxy made of one config. It keeps its connections when the next one takes its place. */
export class Generation {
  readonly config: Config
  readonly forwarded: Forwarded
  readonly proxy: ProxyServer

  /** @throws {TypeError} on what the config has wrong */
  constructor(config: Config, shared: Shared) {
    this.config = config
    this.forwarded = new Forwarded(config.trust)
    this.proxy = createProxy(config, this.forwarded, shared)
  }

  has(connection: Connection): boolean {
    return this.proxy.active.has(connection)
  }

  serve(socket: net.Socket): void {
    this.proxy.emit('connection', socket)
  }

  /** Calls back when it has no connection left; at once where there is none. */
  whenIdle(done: () => void): void {
    if (this.proxy.active.size === 0) return done()
    // A connection may outlast its client's socket: what that sent may still be on its way.
    const stop = hear('close', () => {
      if (this.proxy.active.size > 0) return
      stop()
      done()
    })
  }

  /** Resets what is open. */
  destroy(): void {
    for (const connection of this.proxy.active) connection.destroy()
  }
}

function createProxy(config: Config, forwarded: Forwarded, { balancer, requested, say, sayLack }: Shared): ProxyServer {
  const { sticky, proxyProtocol } = config
  const limits = { ...config.limits, proxyProtocol }
  const hooks = {
    lookup: heard('lookup', config.hooks.lookup, say),
    modify: heard('modify', config.hooks.modify, say),
    errback: heard('errback', config.hooks.errback, say),
  }
  const edit = (head: Head, client: ClientInfo) => {
    requested(head, client)
    if (config.forwarded) forwarded.write(head, client)
    if (config.everyRequest) askToClose(head)
  }
  const lookup = (head: Head, value: string | undefined, client: ClientInfo) => {
    edit(head, client)
    return after(hooks.lookup?.(head, client), (dest) => dest ?? balancer.lookup(head, value, client))
  }
  const errback = (error: ProxyError, dest: Dest | undefined, head: Head) => {
    // Every backend stays up, and none can be reached.
    if (isExhausted(error.cause)) sayLack(`a fault of this machine, and of no backend: ${messageOf(error.cause)}`)
    return after(hooks.errback?.(error, dest, head), (own) => own ?? balancer.errback(error, dest, head))
  }
  const modify = hooks.modify && { modify: hooks.modify }
  if (sticky) return createStickyServer<Dest>(lookup, errback, { ...limits, ...modify, cookie: sticky })
  return createServer<Dest>({
    ...limits,
    ...modify,
    lookup: (head, client) => lookup(head, undefined, client),
    errback,
  })
}

/** A hook whose faults are told of: all that its clients get is a 502 or a 503. */
function heard<A extends unknown[], R>(
  name: string,
  hook: ((...values: A) => R) | undefined,
  say: (line: string) => void,
): ((...values: A) => R) | undefined {
  if (!hook) return undefined
  const tell = sparingly(say)
  const failed = (cause: unknown): never => {
    tell(`the hook ${name} has thrown: ${firstLineOf(cause)}`)
    throw cause
  }
  return (...values) => {
    try {
      const result = hook(...values)
      return result instanceof Promise ? (result.catch(failed) as R) : result
    } catch (cause) {
      return failed(cause)
    }
  }
}
