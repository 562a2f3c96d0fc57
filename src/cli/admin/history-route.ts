import type http from 'node:http'
import { show } from '../../show.ts'
import { TaskQueue } from '../task-queue.ts'
import { type Answer, refuse } from './guards.ts'
import type { History } from './history.ts'
import { backendText, historyText } from './history-text.ts'
import { writeInSlices } from './text-format.ts'

/** Answers GET /api/history: `?since=MS` for later samples only, `?backend=ID` for all figures of one backend. */
export class HistoryRoute {
  readonly #history: () => History
  /** Answers that are wanted, by their first sample. Requests for the same share one. */
  readonly #underWay = new Map<number, Promise<readonly Buffer[]>>()
  readonly #queue = new TaskQueue()

  constructor(history: () => History) {
    this.#history = history
  }

  readonly answer = async ({ url = '' }: http.IncomingMessage): Promise<Answer> => {
    const query = new URLSearchParams(url.replace(/^[^?]*/, ''))
    for (const name of ['since', 'backend']) {
      const { length } = query.getAll(name)
      if (length > 1) return refuse(400, `${name}: expected it once, got ${length}`)
    }
    const since = query.get('since') ?? '0'
    const id = query.get('backend')
    if (!/^\d{1,15}$/.test(since)) return refuse(400, `since: expected ms since 1970, got ${show(since)}`)
    if (id === '') return refuse(400, "backend: expected the id of a backend, got ''")
    if (id === null) return answerOf(await this.#all(Number(since)))
    const history = this.#history()
    const series = history.backends.get(id)
    if (!series) return refuse(404, `backend: expected the id of a backend, got ${show(id)}`)
    return answerOf(await writeInSlices(backendText(history, history.range(Number(since)), series)))
  }

  /** One answer at a time: the slices of several would be written in the same turns of the event loop. */
  async #all(since: number): Promise<readonly Buffer[]> {
    const { from } = this.#history().range(since)
    const make = () => {
      const history = this.#history()
      return writeInSlices(historyText(history, history.range(since)))
    }
    const made = this.#underWay.get(from) ?? this.#queue.run(make).finally(() => this.#underWay.delete(from))
    this.#underWay.set(from, made)
    return made
  }
}

function answerOf(body: readonly Buffer[]): Answer {
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body }
}
