import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer, Round, Sample, Workload } from '../types.ts'
import { download, downloads } from './transfer.ts'

const names = ['badass', 'haproxy http', 'nginx http', 'http-proxy']
const suits = ({ name }: Peer) => names.includes(name)

/** ms until the buffers of the kernel and of the proxy are full. */
const SETTLE_MS = 1000

/** Opens clients that request 100 MiB each and stop reading after the first bytes. */
async function openStalled(port: number, count: number): Promise<Socket[]> {
  const open = async () => {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
    socket.write('GET /big HTTP/1.1\r\nHost: bench\r\n\r\n')
    await once(socket, 'data')
    return socket.pause()
  }
  return Promise.all(Array.from({ length: count }, open))
}

async function besideStalled(round: Round, count: number): Promise<Sample> {
  const stalled = await openStalled(round.port, count)
  try {
    await sleep(SETTLE_MS)
    const before = round.usage().cpu
    const done = await downloads(round)
    return { ...done, cpu: round.usage().cpu - before }
  } finally {
    for (const socket of stalled) socket.destroy()
  }
}

/** Show whether clients that stop reading slow down those that read. */
export const stalled: readonly Workload[] = [0, 16, 100].map((count) => ({
  ...download,
  name: `stalled ${count}`,
  group: 'stalled',
  title: `the download beside ${count} clients that have stopped reading`,
  wantsWarmUp: count === 0,
  suits,
  run: (round) => besideStalled(round, count),
}))
