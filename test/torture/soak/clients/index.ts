import type { Client } from '../visit.ts'
import { download, keepAlive, oneRequest, slowReader } from './downloads.ts'
import { abort, badHead, sticky } from './odd.ts'
import { events, webSocket } from './tunnels.ts'
import { echo, halfClose, upload } from './uploads.ts'

/** All kinds of clients. They run at the same time. */
export const clients: readonly Client[] = [
  ...[keepAlive, oneRequest, download, slowReader],
  ...[upload, echo, halfClose],
  ...[webSocket, events],
  ...[sticky, abort, badHead],
]
