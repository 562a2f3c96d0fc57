import type { Workload } from '../types.ts'
import { idle } from './idle.ts'
import { keepAlive, pipelined } from './keep-alive.ts'
import { latency } from './latency.ts'
import { oneRequest, session } from './one-request.ts'
import { scale } from './scale.ts'
import { download, upload } from './transfer.ts'
import { websocketLarge, websocketSmall } from './websocket.ts'

/** All loads, in the order in which they are put on; those of one backend stand together. */
export const workloads: readonly Workload[] = [
  keepAlive,
  oneRequest,
  session,
  pipelined,
  latency,
  download,
  ...scale,
  upload,
  websocketSmall,
  websocketLarge,
  idle,
]

/** What the short form is about. */
export const shortWorkloads: readonly string[] = [keepAlive.name, oneRequest.name, download.name, websocketSmall.name]
