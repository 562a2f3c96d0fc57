import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { noise } from '../../helpers/bytes.ts'
import { stable } from '../../helpers/flood.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { ProxyProcess } from '../../helpers/proxy-process.ts'
import { report } from '../../helpers/report.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20
const SIZE = 1 << 30
const HEAD = 'HTTP/1.1 200 OK\r\n\r\n'
/** Sent repeatedly. Its length does not divide a buffer size, so lost, doubled or swapped bytes show. */
const BLOCK = noise(MIB - 17, 1)

/** Sends SIZE bytes and ends. `taken` is the number of bytes that the kernel has accepted. */
class Source {
  taken = 0
  readonly #sink: net.Socket

  constructor(sink: net.Socket) {
    this.#sink = sink
    this.#more()
  }

  #more(): void {
    const left = SIZE - this.taken
    if (left === 0) return void this.#sink.end()
    const bytes = BLOCK.subarray(0, Math.min(left, BLOCK.length))
    this.#sink.write(bytes, (error) => {
      if (error) return
      this.taken += bytes.length
      this.#more()
    })
  }
}

/** Reads a stream to its end and checks the bytes after the head. Rejects on a wrong byte. */
async function check(source: net.Socket, headLength: number): Promise<number> {
  let seen = -headLength
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let at = Math.max(0, -seen); at < chunk.length; ) {
      const from = (seen + at) % BLOCK.length
      const count = Math.min(chunk.length - at, BLOCK.length - from)
      if (chunk.compare(BLOCK, from, from + count, at, at + count) !== 0) throw new Error(`wrong after ${seen + at}`)
      at += count
    }
    seen += chunk.length
  }
  return seen
}

function quiet(socket: net.Socket): net.Socket {
  onTestFinished(() => void socket.destroy())
  return socket.on('error', () => undefined)
}

/** Measures the memory of a process from now on. */
class Memory {
  readonly #pid: number
  readonly #before: number

  private constructor(pid: number) {
    this.#pid = pid
    // Resets the peak.
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    this.#before = this.#peak
  }

  static async of(proxy: ProxyProcess): Promise<Memory> {
    // Garbage of the start-up is collected.
    await proxy.usage()
    return new Memory(proxy.pid)
  }

  /** The peak growth of its resident set in MB. */
  get grown(): number {
    return (this.#peak - this.#before) / 1024
  }

  toString(): string {
    return `RSS +${this.grown.toFixed(1)} MB`
  }

  /** In kB. */
  get #peak(): number {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#pid}/status`, 'latin1'))![1])
  }
}

/** A client and a backend that are connected through a proxy. Neither reads. */
async function meet(proxy: ProxyProcess, isModified: boolean) {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const port = await proxy.listen({ backend: { port: await listen(server), host }, isModified })
  const client = quiet(net.connect({ port, host, allowHalfOpen: true }))
  client.pause()
  client.write(GET)
  const [backend] = (await once(server, 'connection')) as [net.Socket]
  return { client, backend: quiet(backend) }
}

describe.skipIf(process.platform !== 'linux')('a peer that reads nothing of 1 GiB', () => {
  for (const isModified of [false, true]) {
    const mode = isModified ? 'with modify' : 'without modify'

    test(`stops the backend without buffering more, ${mode}, if it is the client; no byte is lost`, async () => {
      const proxy = new ProxyProcess()
      const { client, backend } = await meet(proxy, isModified)
      const memory = await Memory.of(proxy)
      backend.write(HEAD)
      const source = new Source(backend)
      const stopped = await expectStopped(source, memory)
      expect(await check(client, HEAD.length)).toBe(SIZE)
      report(`1 GiB to a client that reads nothing, ${mode}`, `${stopped}; then read whole`)
    })

    test(`stops the client without buffering more, ${mode}, if it is the backend; no byte is lost`, async () => {
      const proxy = new ProxyProcess()
      const { client, backend } = await meet(proxy, isModified)
      const memory = await Memory.of(proxy)
      const source = new Source(client)
      const stopped = await expectStopped(source, memory)
      expect(await check(backend, GET.length)).toBe(SIZE)
      report(`1 GiB to a backend that reads nothing, ${mode}`, `${stopped}; then read whole`)
    })
  }
})

async function expectStopped(source: Source, memory: Memory): Promise<string> {
  const taken = await stable(() => source.taken)
  expect(taken).toBeLessThan(SIZE)
  expect(memory.grown).toBeLessThan(32)
  return `stopped after ${Math.round(taken / MIB)} MB, ${memory}`
}
