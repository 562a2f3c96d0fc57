import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Limits } from '../../src/index.ts'

interface Usage {
  /** Bytes. */
  heapUsed: number
  /** Connections. */
  open: number
}

interface Orders {
  listen: {
    given: Limits & { backend: { port: number; host: string }; isModified: boolean; isWatched?: boolean }
    result: number
  }
  usage: { given: undefined; result: Usage }
  drain: { given: number; result: number[] }
}

/** The built engine in a separate process, until the end of the test. */
export class ProxyProcess {
  readonly #child: ChildProcess
  #asked = 0

  constructor() {
    const script = fileURLToPath(new URL('./proxy-process.mjs', import.meta.url))
    this.#child = fork(script, { execArgv: ['--expose-gc'] })
    // A listener for each pending answer.
    this.#child.setMaxListeners(0)
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Whether it is still running. */
  get isUp(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts a proxy in it and returns its port. */
  async listen(given: Orders['listen']['given']): Promise<number> {
    return this.#ask('listen', given)
  }

  async usage(): Promise<Usage> {
    return this.#ask('usage', undefined)
  }

  /** Drains the watched proxies within so many ms. Resolves with the ports of the accepted clients, in order. */
  async drain(ms: number): Promise<number[]> {
    return this.#ask('drain', ms)
  }

  async #ask<K extends keyof Orders>(order: K, given: Orders[K]['given']): Promise<Orders[K]['result']> {
    const id = ++this.#asked
    this.#child.send({ id, order, given })
    for (;;) {
      const [answer] = (await once(this.#child, 'message')) as [{ id: number; result: Orders[K]['result'] }]
      if (answer.id === id) return answer.result
    }
  }
}

/** Number of open sockets of a process, of any kind. This and everything below needs Linux. */
export function socketsOf(pid: number): number {
  return descriptorsOf(pid).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`).startsWith('socket:')).length
}

/** The open descriptors of a process. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
}

/** It may have been closed just now. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

const TIME_WAIT = '06'

/** 127.0.0.1 as in /proc/net/tcp. At other addresses the children of other tests may have the same ports. */
const LOOPBACK = '0100007F'

/**
 * The kernel's count of the TCP sockets at these ports of 127.0.0.1 (at either end), like `ss`. It includes sockets
 * without a process, and excludes closed connections that only hold their port (TIME_WAIT).
 */
export function kernelSockets(...ports: number[]): number {
  const wanted = new Set(ports.map((port) => `${LOOPBACK}:${port.toString(16).toUpperCase().padStart(4, '0')}`))
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/ +/))
    .filter(([, local, remote, state]) => state !== TIME_WAIT && (wanted.has(local!) || wanted.has(remote!))).length
}

/** Sets the descriptor limit of a running process. */
export function limitDescriptors(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`])
}
