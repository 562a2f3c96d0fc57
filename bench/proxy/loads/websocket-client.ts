import type net from 'node:net'
import { optionsOf, say } from './client.ts'
import { frameHead, openTunnel } from './upgrade.ts'

// Sends a message on each connection, and the next one when it has come back. Every message is the same, and its mask
// is of zeros, so that it costs little here: the core is shared with the backend.

interface Options {
  port: number
  connections: number
  size: number
}

const { port, connections, size } = optionsOf<Options>()
const message = Buffer.concat([frameHead(size, Buffer.alloc(4)), Buffer.alloc(size, 'x')])
const echoLength = frameHead(size).length + size

let isOver = true
let flying = 0
let done = 0
let landed: (() => void) | undefined

function send(socket: net.Socket): void {
  flying++
  socket.write(message)
}

function use(socket: net.Socket): void {
  let left = echoLength
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left > 0) return
    if (left < 0) throw new Error('more came back than was sent')
    left = echoLength
    flying--
    done++
    if (!isOver) send(socket)
    else if (flying === 0) landed!()
  })
  socket.on('close', () => {
    throw new Error('a connection was closed amid the work')
  })
}

/** Works for so long, and then until the last message is back. */
async function work(seconds: number): Promise<{ units: number; seconds: number }> {
  const start = performance.now()
  done = 0
  isOver = false
  for (const socket of sockets) send(socket)
  setTimeout(() => {
    isOver = true
  }, seconds * 1000)
  await new Promise<void>((resolve) => {
    landed = resolve
  })
  return { units: done, seconds: (performance.now() - start) / 1000 }
}

const sockets = await Promise.all(Array.from({ length: connections }, () => openTunnel(port, '/echo')))
sockets.forEach(use)
let seconds = await say<number>('connected')
for (;;) seconds = await say<number>(await work(seconds))
