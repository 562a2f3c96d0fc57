import type { Workload } from '../types.ts'
import { idle } from './idle.ts'
import { keepAlive, pipelined } from './keep-alive.ts'
import { latency } from './latency.ts'
import { oneRequest, session } from './one-request.ts'
import { scale } from './scale.ts'
import { stalled } from './stalled.ts'
import { download, upload } from './transfer.ts'
import { websocketLarge, websocketSmall } from './websocket.ts'

/** All workloads in their order. Those with the same backend stand together. */
export const workloads: readonly Workload[] = [
  keepAlive,
  oneRequest,
  session,
  pipelined,
  latency,
  download,
  ...stalled,
  ...scale,
  upload,
  websocketSmall,
  websocketLarge,
  idle,
]

/** The workloads of the short form. */
export const shortWorkloads: readonly string[] = [keepAlive.name, oneRequest.name, download.name, websocketSmall.name]
