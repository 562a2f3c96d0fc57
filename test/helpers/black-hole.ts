import { once } from 'node:events'
import net from 'node:net'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'

/** Listens, and then accepts nothing any more: its thread waits for what never comes. */
const LISTEN = `
const { parentPort } = require('node:worker_threads')
const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})`

/** A port of loopback whose backlog is full, until the test is over: who connects hears nothing, not even a refusal. */
export async function blackHole(): Promise<number> {
  const worker = new Worker(LISTEN, { eval: true })
  onTestFinished(async () => void (await worker.terminate()))
  const [port] = (await once(worker, 'message')) as [number]
  // Once it is full, the kernel drops what comes.
  for (let isFull = false; !isFull; ) {
    const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
    onTestFinished(() => void socket.destroy())
    isFull = await Promise.race([once(socket, 'connect').then(() => false), patience().then(() => true)])
  }
  return port
}

/** Much longer than a connection takes on loopback. */
async function patience(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300))
}
