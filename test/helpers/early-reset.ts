import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'

/** Connects, sends its bytes and resets the connection, as often as requested. */
const CLIENTS = `
const { parentPort, workerData: { port, request, ca, state } } = require('node:worker_threads')
const net = require('node:net')
const tls = require('node:tls')
const left = (socket) => new Promise((resolve) => socket.on('close', resolve))
async function client() {
  const socket = net.connect(port, '127.0.0.1').on('error', () => undefined)
  const stream = ca ? tls.connect({ socket, ca, servername: 'localhost' }).on('error', () => undefined) : socket
  stream.once(ca ? 'secureConnect' : 'connect', () => stream.write(request, () => socket.resetAndDestroy()))
  await left(socket)
}
parentPort.on('message', async (count) => {
  for (let i = 0; i < count; i++) await client()
  Atomics.store(state, 0, 1)
  Atomics.notify(state, 0)
})
parentPort.postMessage('ready')`

/** Clients in a separate thread. Each has left before this thread accepts it. */
export class EarlyResets {
  readonly #worker: Worker
  readonly #state: Int32Array

  private constructor(worker: Worker, state: Int32Array) {
    this.#worker = worker
    this.#state = state
  }

  /** Starts the thread until the end of the test. With `ca`, the clients use TLS. */
  static async start(port: number, request: string, ca?: Buffer): Promise<EarlyResets> {
    const state = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(CLIENTS, { eval: true, workerData: { port, request, ca: ca?.toString(), state } })
    onTestFinished(async () => void (await worker.terminate()))
    await once(worker, 'message')
    return new EarlyResets(worker, state)
  }

  /** Starts `count` clients. Each waits until the one before has left. */
  begin(count: number): void {
    Atomics.store(this.#state, 0, 0)
    this.#worker.postMessage(count)
  }

  /** Blocks this thread until they have left. */
  wait(): void {
    Atomics.wait(this.#state, 0, 0)
  }
}
