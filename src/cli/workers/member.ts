import cluster, { type Worker } from 'node:cluster'
import { withTimeout } from '../timeout.ts'
import { errorOf, type Kind, type Message, type Order, type Orders, type Report, type Result } from './messages.ts'

/** ms to wait for the last messages of a worker that has exited. */
const LAST_MS = 100
/** Heartbeats without a message after which a worker counts as silent: stopped, or in an endless loop. */
const SILENT_BEATS = 3

/** Messages that a worker sends unasked. */
export interface MemberEvents {
  say(member: Member, line: string, about: string | undefined): void
  /** It got a SIGTERM. */
  terminated(member: Member): void
  report(member: Member, report: Report): void
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** The worker ended before it answered. */
export class WorkerExited extends Error {}

/** A worker process, seen from its primary. */
export class Member {
  /** From 1. A replacement gets the number of its predecessor. */
  readonly number: number
  /** performance.now() at the start. */
  readonly startedAt = performance.now()
  /** Resolves when it has ended, with the reason: 'was killed by SIGKILL'. */
  readonly gone: Promise<string>
  /** Resolves when it accepts orders. */
  readonly ready: Promise<void>
  /** It accepts orders. */
  isBooted = false
  /** It was sent a config. */
  isConfigured = false
  isServing = false
  /** It ends as soon as its replacement serves. */
  isLeaving = false
  /** Why it was killed. */
  failure: string | undefined
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #orders = 0
  /** Since its last message. */
  #beats = 0
  #isPinged = false
  #isGone = false

  /** Starts a process. */
  constructor(number: number, events: MemberEvents) {
    this.number = number
    this.#worker = cluster.fork()
    this.gone = this.#ended().then((how) => {
      for (const { reject } of this.#waiting.values()) reject(new WorkerExited(`worker ${number} ${how}`))
      this.#waiting.clear()
      this.#isGone = true
      return how
    })
    this.ready = new Promise((resolve) => {
      this.#worker.on('message', (message: Message) => this.#receive(message, events, resolve))
    })
  }

  /** Sends an order. @throws {Error} what the worker threw; {WorkerExited} if it ended before it answered */
  async ask<K extends Kind>(kind: K, ...given: Parameters<Orders[K]>): Promise<Result<K>> {
    if (this.#isGone) throw new WorkerExited(`worker ${this.number} has ended`)
    const id = ++this.#orders
    return new Promise<Result<K>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      this.#worker.send({ id, kind, given: given[0] } as Order, () => undefined)
    })
  }

  /** Like `ask`, but kills a worker that does not answer within `ms`. */
  async askOrKill<K extends Kind>(ms: number, kind: K, ...given: Parameters<Orders[K]>): Promise<Result<K>> {
    return withTimeout(this.ask(kind, ...given), ms, () => {
      const failure = `did not answer for ${ms / 1_000} s and was killed`
      this.kill(failure)
      throw new Error(`worker ${this.number} ${failure}`)
    })
  }

  /**
   * Pings the worker. Returns the number of heartbeats since its last message. Not a time in ms: the primary itself may
   * have been stopped.
   */
  beat(): number {
    if (this.isBooted && !this.#isPinged) {
      this.#isPinged = true
      const answered = () => {
        this.#isPinged = false
      }
      this.ask('ping').then(answered, answered)
    }
    return ++this.#beats
  }

  get isSilent(): boolean {
    return this.#beats > SILENT_BEATS
  }

  /** `failure`: the reason to print. */
  kill(failure?: string): void {
    this.failure ??= failure
    this.#worker.process.kill('SIGKILL')
  }

  async #ended(): Promise<string> {
    const failed = new Promise<string>((resolve) => {
      this.#worker.on('error', ({ message }) => {
        // After any other error, such as EPIPE, an exit follows.
        if (this.#worker.process.pid === undefined) resolve(`could not be started: ${message}`)
      })
    })
    // Its last messages may arrive after 'exit', until 'disconnect', which Node does not always emit.
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

  #receive(message: Message, events: MemberEvents, ready: () => void): void {
    this.#beats = 0
    switch (message.kind) {
      case 'ready':
        this.isBooted = true
        return ready()
      case 'done':
        return this.#take(message.id)?.resolve(message.result)
      case 'failed':
        return this.#take(message.id)?.reject(errorOf(message.failure))
      case 'say':
        return events.say(this, message.line, message.about)
      case 'terminated':
        return events.terminated(this)
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
