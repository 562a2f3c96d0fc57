import { keepToken } from './actions.js'
import { Backends } from './backends.js'
import { ago, bytes, bytesParts, count, duration, perSecond, plural } from './format.js'
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

/** The last answer, and when it came. */
let last
let heardAt = performance.now()
/** When failures last rose, by the server's clock, in ms. */
let failedAt = Number.NEGATIVE_INFINITY
let isPolling = false
let timer

function failuresOf({ counters }) {
  return counters.connectFailures + counters.badHeads
}

function show(state) {
  heardAt = performance.now()
  if (last && failuresOf(state) > failuresOf(last)) failedAt = state.time
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
  const up = backends.filter(({ state }) => state === 'up').length
  const [state, text] = draining
    ? ['draining', 'draining']
    : up === 0
      ? ['down', backends.length > 0 ? 'all backends are down' : 'no backends']
      : up < backends.length
        ? ['draining', `${up} of ${backends.length} up`]
        : ['up', 'all up']
  badge(state, text)
  at('draining').hidden = !draining
  if (!draining) return
  const left = counters.open > 0 ? `${plural(counters.open, 'connection')} left` : 'no connection left'
  at('draining').textContent =
    `badass is shutting down: it takes no new clients and lets the present ones finish; ${left}.`
}

function badge(state, text) {
  at('health').dataset.state = state
  put('health', text)
  document.title = `badass: ${text}`
}

function showTiles({ counters, time }) {
  const rate = past.mean(past.all.rate)
  tile('open', [count(counters.open)], `peak of ${count(past.max(past.all.open))} in five minutes`)
  tile('rate', [rate === null ? '–' : perSecond(rate), '/s'], `${count(counters.accepted)} accepted in all`)
  tileOfBytes('in', past.mean(past.all.in), counters.bytesRead)
  tileOfBytes('out', past.mean(past.all.out), counters.bytesWritten)
  const { connectFailures, badHeads } = counters
  const parts = [plural(connectFailures, 'connect'), plural(badHeads, 'bad head')]
  tile('failures', [count(connectFailures + badHeads)], parts.join(' · '))
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

/** Says that what is shown is of the past, and why. */
function lose(error) {
  const seconds = (performance.now() - heardAt) / 1000
  const why =
    error instanceof TypeError ? 'it does not answer' : error.name === 'TimeoutError' ? 'it is too slow' : error.message
  badge('down', 'connection lost')
  document.body.classList.add('stale')
  at('lost').hidden = false
  // What is read aloud does not change with every try.
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
