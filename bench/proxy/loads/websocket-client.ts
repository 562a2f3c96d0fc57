import { openWebSocket, optionsOf, say } from './client.ts'

// Sends a message on each connection, and the next one when the echo has come.

const { port, connections, size } = optionsOf<{ port: number; connections: number; size: number }>()
const message = Buffer.alloc(size, 'x')
let isOver = true
let pending = 0
let done = 0
let finished: (() => void) | undefined

const sockets = await Promise.all(Array.from({ length: connections }, () => openWebSocket(port)))
for (const socket of sockets) {
  socket.on('message', (echo: Buffer) => {
    if (echo.length !== size) throw new Error('the echo differs from the message')
    done++
    if (!isOver) socket.send(message)
    else if (--pending === 0) finished!()
  })
  socket.on('close', () => {
    throw new Error('a connection was closed too early')
  })
}

/** Sends messages for so many seconds and waits for the last echo. */
async function work(seconds: number): Promise<{ units: number; seconds: number }> {
  const start = performance.now()
  done = 0
  isOver = false
  pending = sockets.length
  for (const socket of sockets) socket.send(message)
  setTimeout(() => {
    isOver = true
  }, seconds * 1000)
  await new Promise<void>((resolve) => {
    finished = resolve
  })
  return { units: done, seconds: (performance.now() - start) / 1000 }
}

let seconds = await say<number>('connected')
for (;;) seconds = await say<number>(await work(seconds))
