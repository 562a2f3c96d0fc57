import { bringBack, changeWeight, drain, reset } from './backend-actions.js'
import { arrange, attribute, copyOf, make, put } from './dom.js'
import { ago, bytes, clock, count, latency, plural } from './format.js'
import { Graph } from './graph.js'
import { History } from './history.js'
import { goTo } from './place.js'
import { notesOf } from './row.js'
import { FIRST_BYTE, RESPONSES } from './traffic.js'

const MOST_LINES = 20
const TIMEOUT_MS = 4_000

/** The open backend: facts, graphs, checks, what happened to it, and what can be done with it. */
export class Details {
  element
  #parts
  #graphs
  #changed
  #item
  #others = []
  #history
  /** The last answer about the backend. */
  #about
  #now = 0

  constructor(traffic, changed, close) {
    const { element, parts } = copyOf('details')
    this.element = element
    this.#parts = parts
    this.#changed = changed
    this.#graphs = [RESPONSES, FIRST_BYTE].map((kind) => {
      const figure = parts.graphs.appendChild(make('figure'))
      return new Graph(figure, kind)
    })
    // They scroll: so the keyboard must reach them.
    for (const part of ['transitions', 'checks']) parts[part].tabIndex = 0
    this.#on('toggle', () => (this.#isDrained() ? bringBack(this.#item) : drain(this.#item, this.#others)))
    this.#on('reset', () => reset(this.#item))
    this.#on('reweigh', () => changeWeight(this.#item, this.#others))
    parts.choose.onclick = () => {
      traffic.choose(`backend:${this.#item.backend.id}`)
      scrollTo({ top: 0 })
    }
    parts.requests.onclick = () => goTo({ view: 'requests', about: this.#item.backend.id }, true)
    element.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return
      const button = element.previousElementSibling?.querySelector('button')
      close()
      button?.focus()
    })
  }

  #on(part, action) {
    this.#parts[part].onclick = async () => {
      if (await action()) this.#changed()
    }
  }

  #isDrained() {
    return this.#item.backend.drainedBy.includes('operator')
  }

  /** `items`: those of all backends. `now`: ms since 1970 by the server's clock. */
  show(item, items, now) {
    const isOther = item.backend.id !== this.#item?.backend.id
    this.#item = item
    this.#now = now
    this.#others = items.filter(({ pool, backend }) => pool === item.pool && backend.id !== item.backend.id)
    if (isOther) this.#begin(item.backend.id)
    this.#fillFacts()
    this.#fillButtons()
    this.#fillLists()
  }

  #begin(id) {
    this.#history = new History(id)
    this.#about = undefined
    attribute(this.#parts.panel, 'aria-label', `Details of ${id}`)
    for (const graph of this.#graphs) graph.show([], undefined)
    void this.load()
  }

  /** Fetches what is new about the open backend. */
  async load() {
    if (!this.element.isConnected && this.#about) return
    const { id } = this.#item?.backend ?? {}
    if (id === undefined) return
    const history = this.#history
    const [about] = await Promise.all([fetchAbout(id), history.load().catch(() => undefined)])
    if (id !== this.#item.backend.id) return
    this.#about = about ?? this.#about
    this.#fillLists()
    for (const graph of this.#graphs) graph.show(history.past?.times ?? [], history.past?.backend)
  }

  #fillFacts() {
    const { backend, pool } = this.#item
    const { connections, maxConnections, lastError, failures, ejections } = backend
    const weight = [backend.weight, ...notesOf(backend)].join(' · ')
    const facts = [
      ['Address', backend.address],
      ['Found by', backend.source],
      ['Pool', pool],
      ['Weight', weight],
      [
        'Open connections',
        maxConnections === null ? count(connections) : `${count(connections)} of ${count(maxConnections)}`,
      ],
      ['Connections so far', count(backend.total)],
      ['Failed connects', count(failures)],
      ['Ejected', ejections > 0 && plural(ejections, 'time')],
      ['From clients', bytes(backend.bytesRead)],
      ['To clients', bytes(backend.bytesWritten)],
      ['Last error', lastError && `${lastError.message} (${ago((this.#now - lastError.at) / 1000)})`],
    ].filter(([, value]) => value)
    const terms = facts.flatMap(([name, value]) => {
      const key = `fact-${name}`
      this.#parts[key] ??= make('dt', { textContent: name })
      this.#parts[`${key}-value`] ??= make('dd')
      put(this.#parts[`${key}-value`], String(value))
      return [this.#parts[key], this.#parts[`${key}-value`]]
    })
    arrange(this.#parts.facts, terms)
  }

  #fillButtons() {
    const { id, connections } = this.#item.backend
    put(this.#parts.toggle, this.#isDrained() ? 'Bring back' : 'Drain')
    attribute(this.#parts.toggle, 'aria-label', `${this.#parts.toggle.textContent} ${id}`)
    attribute(this.#parts.reset, 'aria-label', `Reset connections of ${id}`)
    attribute(this.#parts.reweigh, 'aria-label', `Weight of ${id}`)
    this.#parts.reset.disabled = connections === 0
  }

  #fillLists() {
    const { checks = [], transitions = [] } = this.#about ?? {}
    const isKnown = this.#about !== undefined
    const age = (at) => ago((this.#now - at) / 1000)
    list(this.#parts.transitions, transitions, isKnown, 'Nothing since the start.', (one) => [
      one.to,
      age(one.at),
      [`${TO[one.to] ?? one.to}`, one.cause && `: ${one.cause}`, workerOf(one)],
    ])
    list(this.#parts.checks, checks, isKnown, 'No health checks.', (one) => [
      one.passed ? 'up' : 'down',
      age(one.at),
      [one.passed ? 'passed' : 'failed', ` in ${latency(one.duration / 1000)}`, resultOf(one), workerOf(one)],
    ])
  }
}

const TO = { returned: 'back after its ejection', ready: 'drain ended', weight: 'weight changed' }

function resultOf({ status, error }) {
  return [status && ` · ${status}`, error && ` · ${error}`].filter(Boolean).join('')
}

function workerOf({ worker }) {
  return worker === undefined ? '' : ` · worker ${worker}`
}

/** Fills a list with `lineOf(entry)`: [sign, age, parts of its text]. */
function list(element, entries, isKnown, none, lineOf) {
  const shown = entries.slice(0, MOST_LINES)
  const lines = shown.map((entry, i) => {
    const line = element.children[i]?.dataset.state ? element.children[i] : newLine()
    const [state, age, parts] = lineOf(entry)
    attribute(line, 'data-state', state)
    put(line.firstElementChild, age)
    attribute(line.firstElementChild, 'title', clock(entry.at))
    put(line.lastElementChild, parts.filter(Boolean).join(''))
    return line
  })
  const empty = element.querySelector('.none') ?? make('li', { className: 'none' })
  put(empty, isKnown ? none : 'Loading…')
  arrange(element, lines.length > 0 ? lines : [empty])
}

function newLine() {
  return make('li', {}, make('time'), make('span'))
}

async function fetchAbout(id) {
  try {
    const url = `api/backends/${encodeURIComponent(id)}`
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return response.ok ? await response.json() : undefined
  } catch {
    return undefined
  }
}
