import type { Peer } from '../types.ts'
import { caddy } from './caddy.ts'
import { haproxyPeers } from './haproxy.ts'
import { nginxPeers } from './nginx.ts'
import { nodePeers } from './node.ts'

const direct: Peer = {
  name: 'direct',
  kind: 'native',
  reads: 'nothing',
  note: 'no proxy: the client connects to the backend',
  isBaseline: true,
  only: ['latency'],
  start: async ({ backend }) => ({ port: backend, pids: () => [], version: '', stop: async () => {} }),
}

/** All proxies, in the order of their turns. */
export const peers: readonly Peer[] = [...nodePeers, ...nginxPeers, ...haproxyPeers, caddy, direct]
