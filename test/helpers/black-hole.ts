import { once } from 'node:events'
import net from 'node:net'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'

/** Listens in a blocked thread and accepts nothing until it is woken. Then it answers each request and ends. */
const LISTEN = `
const { parentPort, workerData } = require('node:worker_threads')
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nlate'))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  Atomics.wait(workerData, 0, 0)
})`

interface Sleeper {
  port: number
  /** Accepts from now on. A pending connect succeeds when its SYN is sent again, at most a second later. */
  wake(): void
}

/** A port of 127.0.0.1 with a full backlog. A connect gets no reply before `wake`. Closed after the test. */
export async function sleeper(): Promise<Sleeper> {
  const isAwake = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(LISTEN, { eval: true, workerData: isAwake })
  onTestFinished(async () => void (await worker.terminate()))
  const [port] = (await once(worker, 'message')) as [number]
  // With a full backlog the kernel drops new SYNs.
  for (let isFull = false; !isFull; ) {
    const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
    onTestFinished(() => void socket.destroy())
    isFull = await Promise.race([once(socket, 'connect').then(() => false), patience().then(() => true)])
  }
  return { port, wake: () => void Atomics.notify(isAwake, 0) }
}

/** A port of loopback with a full backlog until the end of the test. A connect gets no reply, not even a refusal. */
export async function blackHole(): Promise<number> {
  return (await sleeper()).port
}

/** Much longer than a connect takes on loopback. */
async function patience(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300))
}
