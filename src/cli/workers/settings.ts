import { fileURLToPath } from 'node:url'

/** How workers are started, and how long they may take. */
export interface WorkerSettings {
  /** The program that a worker runs. */
  readonly exec: string
  /** ms between heartbeats. */
  readonly beatMs: number
  /** Heartbeats without an answer after which a worker is killed. */
  readonly lostBeats: number
  /** ms for a worker's part of a reload. A worker that takes longer would block all later reloads, so it is killed. */
  readonly answerMs: number
  /** ms for the config to load in a worker. It has loaded in the primary already. Less than `answerMs`. */
  readonly loadMs: number
}

export const WORKER_SETTINGS: WorkerSettings = {
  // Beside the bundle of the command.
  exec: fileURLToPath(new URL('worker.js', import.meta.url)),
  beatMs: 1_000,
  lostBeats: 20,
  answerMs: 12_000,
  loadMs: 10_000,
}
