import { once } from 'node:events'
import type { WebSocket } from 'ws'
import { openWebSocket, optionsOf, say } from './client.ts'

// Opens as many tunnels as each message says and keeps them. 0 closes them all.

/** Connects at a time, few enough for any accept queue. */
const ABREAST = 50

const { port } = optionsOf<{ port: number }>()
let sockets: WebSocket[] = []

async function open(count: number): Promise<void> {
  let left = count
  const openSome = async () => {
    while (left-- > 0) sockets.push(await openWebSocket(port))
  }
  await Promise.all(Array.from({ length: ABREAST }, openSome))
}

async function closeAll(): Promise<void> {
  const closed = sockets.map((socket) => once(socket, 'close'))
  for (const socket of sockets) socket.terminate()
  sockets = []
  await Promise.all(closed)
}

let count = await say<number>('ready')
for (;;) {
  await (count > 0 ? open(count) : closeAll())
  count = await say<number>(sockets.length)
}
