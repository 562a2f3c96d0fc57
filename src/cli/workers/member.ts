import cluster, { type Worker } from 'node:cluster'
import { errorOf, type Kind, type Message, type Order, type Orders, type Report, type Result } from './messages.ts'

/** ms for what a worker that has ended sent last. */
const LAST_MS = 100

/** What a member tells unasked. */
export interface MemberEvents {
  say(member: Member, line: string, about: string | undefined): void
  /** Somebody has told it to end. */
  told(member: Member): void
  report(member: Member, report: Report): void
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** It ended before it answered. */
export class Gone extends Error {}

/** A worker as its primary sees it. */
export class Member {
  /** Its place among the workers, from 1. Who replaces it gets the same. */
  readonly number: number
  /** By performance.now(). */
  readonly bornAt = performance.now()
  /** Resolves with how it ended: 'was killed by SIGKILL'. */
  readonly gone: Promise<string>
  /** It takes orders. */
  readonly ready: Promise<void>
  /** It has been given a config. */
  isGiven = false
  isServing = false
  /** It is to end when another has its place. */
  isLeaving = false
  /** Why it could not start. */
  failure: string | undefined
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #orders = 0
  #isGone = false

  /** Starts a process. */
  constructor(number: number, events: MemberEvents) {
    this.number = number
    this.#worker = cluster.fork()
    this.gone = this.#ended().then((how) => {
      for (const { reject } of this.#waiting.values()) reject(new Gone(`worker ${number} ${how}`))
      this.#waiting.clear()
      this.#isGone = true
      return how
    })
    this.ready = new Promise((resolve) => {
      this.#worker.on('message', (message: Message) => this.#hear(message, events, resolve))
    })
  }

  /** @throws {Error} what the worker's own has thrown; {Gone} where it ended instead */
  async ask<K extends Kind>(kind: K, ...given: Parameters<Orders[K]>): Promise<Result<K>> {
    if (this.#isGone) throw new Gone(`worker ${this.number} has ended`)
    const id = ++this.#orders
    return new Promise<Result<K>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      this.#worker.send({ id, kind, given: given[0] } as Order, () => undefined)
    })
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  async #ended(): Promise<string> {
    const failed = new Promise<string>((resolve) => {
      this.#worker.on('error', ({ message }) => {
        // Of others, EPIPE for one, the end is at hand.
        if (this.#worker.process.pid === undefined) resolve(`could not be started: ${message}`)
      })
    })
    // What it sent last may come after its exit, and before the end of its channel. Node does not tell of that always.
    const cut = new Promise<void>((resolve) => this.#worker.on('disconnect', resolve))
    const exited = new Promise<string>((resolve) => {
      this.#worker.on('exit', (code, signal) => {
        const how = signal ? `was killed by ${signal}` : `ended with ${code}`
        const done = () => resolve(how)
        if (!this.#worker.isConnected()) return done()
        setTimeout(done, LAST_MS)
        void cut.then(done)
      })
    })
    return Promise.race([failed, exited])
  }

  #hear(message: Message, events: MemberEvents, ready: () => void): void {
    switch (message.kind) {
      case 'ready':
        return ready()
      case 'done':
        return this.#take(message.id)?.resolve(message.result)
      case 'failed':
        return this.#take(message.id)?.reject(errorOf(message.failure))
      case 'say':
        return events.say(this, message.line, message.about)
      case 'told':
        return events.told(this)
      case 'report':
        return events.report(this, message.report)
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }
}
