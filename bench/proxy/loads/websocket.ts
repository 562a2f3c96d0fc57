import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Peer, Round, Sample, Workload } from '../types.ts'
import { LoadClient } from './client.ts'
import { frameHead, openTunnel } from './upgrade.ts'

const CONNECTIONS = 32

/** fast-proxy drops Upgrade from what it passes on. */
export function passesUpgrade(peer: Peer): boolean {
  return !peer.name.startsWith('fast-proxy')
}

async function check(port: number, size: number): Promise<void> {
  const socket = await openTunnel(port, '/echo')
  try {
    const payload = randomBytes(size)
    const mask = randomBytes(4)
    const masked = payload.map((byte, i) => byte ^ mask[i & 3]!)
    socket.write(Buffer.concat([frameHead(size, mask), masked]))
    const expected = Buffer.concat([frameHead(size), payload])
    let received = Buffer.alloc(0)
    while (received.length < expected.length) {
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
      received = Buffer.concat([received, chunk])
    }
    if (!received.equals(expected)) throw new Error('what came back is not what was sent')
  } finally {
    socket.destroy()
  }
}

async function run(round: Round, size: number): Promise<Sample> {
  const client = new LoadClient('websocket-client.js', round.cpu, { port: round.port, connections: CONNECTIONS, size })
  try {
    await client.next()
    // For the client: what it compiles at first slows it down.
    await client.ask(round.seconds / 4)
    const before = round.usage().cpu
    const sample = await client.ask<Sample>(round.seconds)
    return { ...sample, cpu: round.usage().cpu - before }
  } finally {
    await client.stop()
  }
}

function echo(name: string, size: number): Workload {
  return {
    name,
    title: `WebSocket: ${CONNECTIONS} connections, each sends a message of ${name.slice(10)} when the last has come back`,
    unit: 'µs of CPU a message',
    wantsWarmUp: true,
    backend: 'echo',
    suits: passesUpgrade,
    check: (port) => check(port, size),
    run: (round) => run(round, size),
  }
}

export const websocketSmall = echo('websocket 64 B', 64)
export const websocketLarge = echo('websocket 16 KiB', 16 * 1024)
