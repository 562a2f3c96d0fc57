import type { Peer } from '../types.ts'
import { direct } from './direct.ts'
import { haproxyPeers } from './haproxy.ts'
import { nginxPeers } from './nginx.ts'
import { nodePeers } from './node.ts'

/** All proxies, in the order in which they take their turns. */
export const peers: readonly Peer[] = [...nodePeers, ...nginxPeers, ...haproxyPeers, direct]
