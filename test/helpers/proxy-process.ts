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

/** The engine, as it is built, in a process of its own, until the test is over. */
export class ProxyProcess {
  readonly #child: ChildProcess
  #asked = 0

  constructor() {
    const script = fileURLToPath(new URL('./proxy-process.mjs', import.meta.url))
    this.#child = fork(script, { execArgv: ['--expose-gc'] })
    // One for each answer that is waited for.
    this.#child.setMaxListeners(0)
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Whether it has not ended, by whichever way. */
  get isUp(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts a proxy in it, and returns its port. */
  async listen(given: Orders['listen']['given']): Promise<number> {
    return this.#ask('listen', given)
  }

  async usage(): Promise<Usage> {
    return this.#ask('usage', undefined)
  }

  /** Has what is watched drain for so many ms; then the ports of the clients that were accepted, in order. */
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

/** Sockets that a process has open, of whatever kind. Linux only, as all that follows. */
export function socketsOf(pid: number): number {
  return descriptorsOf(pid).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`).startsWith('socket:')).length
}

/** The numbers of all that a process has open. */
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

/**
 * The kernel's own count of the TCP sockets at these ports, at whichever end, as `ss` shows it: those that no process
 * has any more too, but not those that are over, and only keep their port for a while.
 */
export function kernelSockets(...ports: number[]): number {
  const wanted = new Set(ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0')))
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/[ :]+/))
    .filter(([, , local, , remote, state]) => state !== TIME_WAIT && (wanted.has(local!) || wanted.has(remote!))).length
}

/** Sets how many descriptors a running process may have. */
export function limitDescriptors(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`])
}
