import type { ProxyOptions } from '../../src/index.ts'
import { turns } from '../helpers/turns.ts'

const host = '127.0.0.1'

const slowly = () => turns(20)

/** Proxies for a backend on a port. With `requests: 'first'`, they must all look the same to client and backend. */
export const SETUPS: readonly [name: string, options: (port: number) => ProxyOptions][] = [
  ['a fast lookup', (port) => ({ lookup: () => ({ port, host }) })],
  ['a slow lookup', (port) => ({ lookup: () => slowly().then(() => ({ port, host })) })],
  ['a time-out for the response', (port) => ({ lookup: () => ({ port, host }), responseHeadTimeout: 60_000 })],
  ['modify', (port) => ({ lookup: () => ({ port, host }), modify: () => undefined })],
  ['a slow modify', (port) => ({ lookup: () => ({ port, host }), modify: slowly })],
  ['slow hooks', (port) => ({ lookup: () => slowly().then(() => ({ port, host })), modify: slowly })],
]
