import { once } from 'node:events'
import type net from 'node:net'
import { optionsOf, say } from './client.ts'
import { openTunnel } from './upgrade.ts'

// Opens as many tunnels as it is told to, keeps them, and closes them when it is told.

/** Few enough at a time for any queue of connections. */
const ABREAST = 50

const { port } = optionsOf<{ port: number }>()
let sockets: net.Socket[] = []

async function open(count: number): Promise<void> {
  let left = count
  async function openSome(): Promise<void> {
    while (left-- > 0) sockets.push(await openTunnel(port, '/hold'))
  }
  await Promise.all(Array.from({ length: ABREAST }, openSome))
}

async function closeAll(): Promise<void> {
  const closed = sockets.map((socket) => once(socket, 'close'))
  for (const socket of sockets) socket.destroy()
  sockets = []
  await Promise.all(closed)
}

let count = await say<number>('ready')
for (;;) {
  if (count > 0) await open(count)
  else await closeAll()
  count = await say<number>(sockets.length)
}
