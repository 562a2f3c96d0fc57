import { keepToken } from './actions.js'
import { Backends } from './backends.js'
import { ago, bytes, bytesParts, count, countStates, duration, perSecond, plural } from './format.js'
import { Graphs } from './graphs.js'
import { History } from './history.js'

const EVERY_MS = 1_000
const TIMEOUT_MS = 4_000
const at = (id) => document.getElementById(id)

const past = new History()
const graphs = new Graphs(past)
const backends = new Backends(
  past,
  () => poll(),
  (id) => graphs.focus(id),
)

/** The last answer and its time. */
let last
let heardAt = performance.now()
/** When failures last rose, by the server's clock, in ms. */
let failedAt = Number.NEGATIVE_INFINITY
let isPolling = false
let timer

/** Failures so far, by name. */
function failuresOf({ counters: { connectFailures, badHeads, outcomes } }) {
  return [
    [connectFailures, 'connect'],
    [badHeads, 'bad head'],
    [outcomes.NO_DESTINATION + outcomes.LOOKUP_FAILED, 'without a backend', 'without a backend'],
  ]
}

function sumOf(failures) {
  return failures.reduce((sum, [n]) => sum + n, 0)
}

function show(state) {
  heardAt = performance.now()
  if (last && sumOf(failuresOf(state)) > sumOf(failuresOf(last))) failedAt = state.time
  last = state
  past.push(state)
  document.body.classList.remove('stale')
  at('lost').hidden = true
  at('version').textContent = state.version
  at('uptime').textContent = duration(state.uptime)
  showHealth(state)
  showTiles(state)
  backends.show(state)
  graphs.show()
}

function showHealth({ draining, backends, counters }) {
  badge(...(draining ? ['draining', 'draining'] : healthOf(backends)))
  at('draining').hidden = !draining
  if (!draining) return
  const left = counters.open > 0 ? `${plural(counters.open, 'connection')} left` : 'no connection left'
  at('draining').textContent =
    `badass is shutting down: it takes no new clients and lets the present ones finish; ${left}.`
}

function healthOf(backends) {
  const { up, draining } = countStates(backends)
  if (backends.length === 0) return ['down', 'no backends']
  if (up === backends.length) return ['up', 'all up']
  if (up > 0) return ['draining', `${up} of ${backends.length} up`]
  return ['down', draining > 0 ? 'no backend takes new clients' : 'all backends are down']
}

function badge(state, text) {
  at('health').dataset.state = state
  put('health', text)
  document.title = `badass: ${text}`
}

function showTiles(state) {
  const { counters, time } = state
  const rate = past.mean(past.all.rate)
  tile(
    'open',
    [count(counters.open)],
    `peak of ${count(Math.max(counters.open, past.max(past.all.open)))} in five minutes`,
  )
  tile('rate', [rate === null ? '–' : perSecond(rate), '/s'], `${count(counters.accepted)} accepted in all`)
  tileOfBytes('in', past.mean(past.all.in), counters.bytesRead)
  tileOfBytes('out', past.mean(past.all.out), counters.bytesWritten)
  const failures = failuresOf(state)
  tile('failures', [count(sumOf(failures))], failures.map((one) => plural(...one)).join(' · '))
  at('tile-failures').classList.toggle('hot', time - failedAt < 60_000)
}

function tileOfBytes(name, rate, total) {
  const [number, unit] = rate === null ? ['–', 'B'] : bytesParts(rate)
  tile(name, [number, `${unit}/s`], `${bytes(total)} in all`)
}

function tile(name, [number, unit = ''], note) {
  const element = at(`tile-${name}`)
  const small = document.createElement('small')
  small.textContent = unit
  element.querySelector('.figure').replaceChildren(number, small)
  element.querySelector('.note').textContent = note
}

function put(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text
}

/** Shows that the data is outdated, and why. */
function lose(error) {
  const seconds = (performance.now() - heardAt) / 1000
  const why =
    error instanceof TypeError ? 'it does not answer' : error.name === 'TimeoutError' ? 'it is too slow' : error.message
  badge('down', 'connection lost')
  document.body.classList.add('stale')
  at('lost').hidden = false
  // The text for screen readers does not change with every attempt.
  put('why', `No connection to badass: ${why}. Trying again…`)
  put('heard', last ? `What you see is from ${ago(seconds)}.` : '')
}

async function fetchState() {
  const response = await fetch('api/state', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`it answered ${response.status}`)
  return response.json()
}

async function poll() {
  if (isPolling || document.hidden) return
  isPolling = true
  clearTimeout(timer)
  const began = performance.now()
  const state = await fetchState().catch(lose)
  isPolling = false
  timer = setTimeout(poll, Math.max(100, EVERY_MS - (performance.now() - began)))
  if (state) show(state)
}

keepToken()
addEventListener('hashchange', keepToken)
document.addEventListener('visibilitychange', poll)
at('host').textContent = location.host
void poll()
