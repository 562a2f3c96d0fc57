// The head of the page: how badass is as a whole, and what it counted since its start.
import { at, attribute, hide, make, put } from './dom.js'
import { ago, bytes, count, countStates, duration, plural } from './format.js'

const HOT_MS = 60_000

/** Failures so far: [number, one, many?]. */
function failuresOf({ connectFailures, badHeads, handshakeFailures, outcomes }) {
  return [
    [connectFailures, 'failed connect'],
    [badHeads, 'bad head'],
    [outcomes.NO_DESTINATION + outcomes.LOOKUP_FAILED, 'without a backend', 'without a backend'],
    [handshakeFailures, 'failed TLS handshake'],
  ]
}

function limitsOf({ turnedAway, limitedConnections, limitedRequests }) {
  return [
    [turnedAway, 'connection over the limit', 'connections over the limit'],
    [limitedConnections, 'connection over a client’s limit', 'connections over a client’s limit'],
    [limitedRequests, 'request over a client’s limit', 'requests over a client’s limit'],
  ]
}

const sumOf = (failures) => failures.reduce((sum, [n]) => sum + n, 0)
const textOf = (list) =>
  list
    .filter(([n]) => n > 0)
    .map((one) => plural(...one))
    .join(' · ')

export class Head {
  #last
  #heardAt = performance.now()
  /** When failures last rose, by the server's clock, in ms. */
  #failedAt = Number.NEGATIVE_INFINITY

  show(state, requests) {
    this.#heardAt = performance.now()
    const failures = sumOf(failuresOf(state.counters))
    if (this.#last && failures > sumOf(failuresOf(this.#last.counters))) this.#failedAt = state.time
    this.#last = state
    document.body.classList.remove('stale')
    hide(at('lost'), true)
    put(at('version'), state.version)
    put(at('uptime'), duration(state.uptime))
    const { workers, restarts } = state
    put(at('workers'), `${count(workers)}${restarts > 0 ? `, ${plural(restarts, 'restart')}` : ''}`)
    this.#showHealth(state)
    this.#showTotals(state)
    total('Note', requests === 'first' ? 'with --requests first, badass sees no status and no first byte' : '')
  }

  #showHealth({ draining, backends, counters }) {
    badge(...(draining ? ['draining', 'draining'] : healthOf(backends)))
    hide(at('draining'), !draining)
    if (!draining) return
    const left = counters.open > 0 ? `${plural(counters.open, 'connection')} left` : 'no connection left'
    const text = 'badass is shutting down: it takes no new clients and lets the present ones finish'
    put(at('draining'), `${text}; ${left}.`)
  }

  #showTotals({ counters, removed, time }) {
    const open = removed.reduce((sum, { connections }) => sum + connections, 0)
    const now = [
      [counters.queued, 'request waiting', 'requests waiting'],
      [open, 'connection to removed backends', 'connections to removed backends'],
    ]
    total('Now', textOf(now))
    total(
      'Since the start',
      [
        plural(counters.requests, 'request'),
        plural(counters.accepted, 'connection'),
        `${bytes(counters.bytesRead)} from clients`,
        `${bytes(counters.bytesWritten)} to clients`,
        counters.retries > 0 && plural(counters.retries, 'retry', 'retries'),
      ]
        .filter(Boolean)
        .join(' · '),
    )
    total('Failures', textOf(failuresOf(counters)) || 'none', time - this.#failedAt < HOT_MS)
    total('Limits', textOf(limitsOf(counters)))
  }

  /** Shows that the data is outdated, and why. */
  lose(error) {
    const seconds = (performance.now() - this.#heardAt) / 1000
    const isSlow = error.name === 'TimeoutError'
    const why = error instanceof TypeError ? 'it does not answer' : isSlow ? 'it is too slow' : error.message
    badge('down', 'connection lost')
    document.body.classList.add('stale')
    hide(at('lost'), false)
    // The text for screen readers does not change with every attempt.
    put(at('why'), `No connection to badass: ${why}. Trying again…`)
    put(at('heard'), this.#last ? `What you see is from ${ago(seconds)}.` : '')
  }
}

function healthOf(backends) {
  const { up, draining } = countStates(backends)
  if (backends.length === 0) return ['down', 'no backends']
  if (up === backends.length) return ['up', 'all up']
  if (up > 0) return ['draining', `${up} of ${backends.length} up`]
  return ['down', draining > 0 ? 'no backend takes new clients' : 'all backends are down']
}

function badge(state, text) {
  attribute(at('health'), 'data-state', state)
  put(at('health'), text)
  const title = `badass: ${text}`
  if (document.title !== title) document.title = title
}

/** One of the totals, by its name. It is hidden without a text. */
function total(name, text, isHot = false) {
  const id = `total-${name.toLowerCase().replaceAll(' ', '-')}`
  let line = at(id)
  if (!line) {
    line = make('div', { id }, make('dt', { textContent: name }), make('dd'))
    at('totals').append(line)
  }
  put(line.lastElementChild, text)
  hide(line, text === '')
  line.classList.toggle('hot', isHot)
}
