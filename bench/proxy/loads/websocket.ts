import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Peer, Round, Sample, Workload } from '../types.ts'
import { LoadClient, openWebSocket } from './client.ts'

const CONNECTIONS = 32

/** fast-proxy does not forward Upgrade. */
export function passesUpgrade(peer: Peer): boolean {
  return !peer.name.startsWith('fast-proxy')
}

async function check(port: number, size: number): Promise<void> {
  const socket = await openWebSocket(port)
  try {
    const message = randomBytes(size)
    socket.send(message)
    const [echo] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer]
    if (!echo.equals(message)) throw new Error('the echo differs from the message')
  } finally {
    socket.terminate()
  }
}

async function run(round: Round, size: number): Promise<Sample> {
  const client = new LoadClient('websocket-client.js', round.cpu, { port: round.port, connections: CONNECTIONS, size })
  try {
    await client.next()
    // Warms the client up.
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
    title: `WebSocket messages of ${name.slice(10)} and their echoes, one at a time on each of ${CONNECTIONS} connections`,
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
