import type { Readable } from 'node:stream'
import type { Head } from '../../parser/index.ts'
import type { ClientInfo, Dest, Limits, ProxyError } from '../../proxy/index.ts'
import type { BackendOptions, BalancerOptions, DnsOptions, HealthOptions } from '../../sticky/index.ts'
import { escapeUnprintable } from '../escape.ts'

/** Where to listen: every address of the machine unless `host` says one. */
export type Address = { port: number; host?: string } | { path: string }

export type Target = BackendOptions | DnsOptions

export interface StickySettings {
  name: string
  insert: boolean
  indirect: boolean
  attributes?: string
}

type Maybe<T> = T | Promise<T>

/** What a config that is a JS module may export beside its settings. */
export interface ConfigHooks {
  /** May edit the head, and may return a Dest of its own; nothing: the balancer chooses. */
  lookup?: (head: Head, client: ClientInfo) => Maybe<Dest | undefined | null>
  modify?: (head: Head, dest: Dest) => Maybe<void>
  /** Nothing: what the balancer does. */
  errback?: (error: ProxyError, dest: Dest | undefined, head: Head) => Maybe<Dest | Readable | undefined | null>
}

/** All that the command does, checked, with each default in its place. */
export interface Config {
  listen: Address[]
  /** Processes that serve, on as many cores. */
  workers: number
  backends: Target[]
  algorithm: NonNullable<BalancerOptions['algorithm']>
  /** What `hash` goes by. */
  key: 'client' | 'path' | `header:${string}`
  failover: NonNullable<BalancerOptions['failover']>
  health: HealthOptions | undefined
  backoff?: NonNullable<BalancerOptions['backoff']>
  dns?: NonNullable<BalancerOptions['dns']>
  sticky: StickySettings | undefined
  /** The first signs, each is accepted. */
  secret: string[] | undefined
  /** Ask backends to close, so that each request passes the balancer. */
  everyRequest: boolean
  forwarded: boolean
  /** Whose X-Forwarded fields are believed: IPs, CIDRs, 'unix'. */
  trust: string[]
  /** Who puts a PROXY header before each connection: IPs, CIDRs, 'unix'. Undefined: nobody does. */
  proxyProtocol?: string[]
  /** Paths of PEM files; none: plain TCP. */
  tls: { cert: string; key: string }[]
  admin: { listen: Address; token: string | undefined } | undefined
  log: 'none' | 'text' | 'json'
  /** ms that open connections have to finish in. */
  grace: number
  /** Of the engine's limits, those that were given. */
  limits: Limits
  hooks: ConfigHooks
}

/** A mistake in the arguments or in the config file: one line for each, naming the place, what it got and what it takes. */
export class ConfigError extends Error {
  readonly lines: readonly string[]

  constructor(lines: string | readonly string[]) {
    const all = [lines].flat().map(escapeUnprintable)
    super(all.join('\n'))
    this.name = 'ConfigError'
    this.lines = all
  }
}
