import { Attention } from './attention.js'
import { Backends } from './backends.js'
import { itemOf } from './columns.js'
import { at, attribute, hide } from './dom.js'
import { Head } from './head.js'
import { History } from './history.js'
import { goTo, placeOf } from './place.js'
import { Requests } from './requests.js'
import { fetchSetup, Setup } from './setup.js'
import { keepToken } from './token.js'
import { Traffic } from './traffic.js'

const EVERY_MS = 1_000
const TIMEOUT_MS = 4_000
/** Polls between two of what changes less often. */
const SAMPLES_EVERY = 2
const REQUESTS_EVERY = 5
const SETUP_EVERY = 30
const VIEWS = ['backends', 'requests', 'setup']

const past = new History()
const head = new Head()
const traffic = new Traffic(past)
const backends = new Backends(past, traffic, () => poll())
const requests = new Requests()
const setup = new Setup()
const attention = new Attention(
  (id) => backends.open(id, true),
  () => goTo({ view: 'setup' }, true),
)

/** The last answers. */
let state
let config
/** Whether the user has just come to the requests. */
let isOpening = false
let polls = 0
let isPolling = false
let timer
let view

const viewOf = () => (VIEWS.includes(placeOf('view')) ? placeOf('view') : 'backends')

function show() {
  const { certificates = [], requests: mode } = config
  head.show(state, mode)
  traffic.offer([...new Set(state.backends.map(({ pool }) => pool ?? 'default'))])
  const items = state.backends.map((backend) => itemOf(backend, past.past, mode === 'first'))
  attention.show(items, past.past, certificates, state.time)
  backends.show(items, state.time)
  setup.show(config, state.time)
  if (isOpening) void loadRequests()
}

async function fetchState() {
  const response = await fetch('api/state', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`it answered ${response.status}`)
  return response.json()
}

/** Fetches what is due besides the state. What fails is tried again the next time. */
async function fetchMore() {
  const is = (every) => polls % every === 0
  const due = []
  if (is(SAMPLES_EVERY))
    due.push(
      past.load().then(() => traffic.load()),
      backends.load(),
    )
  if (is(SETUP_EVERY))
    due.push(
      fetchSetup().then((answer) => {
        config = answer ?? config ?? {}
      }),
    )
  if (is(REQUESTS_EVERY) && view === 'requests') due.push(loadRequests())
  polls++
  await Promise.allSettled(due)
}

/** Fetches the requests, once it is known whether they are recorded. */
async function loadRequests() {
  if (!state) return
  const isFirst = isOpening
  isOpening = false
  await requests.load(state.time, config.recentRequests !== false, isFirst)
}

async function poll() {
  if (isPolling || document.hidden) return
  isPolling = true
  clearTimeout(timer)
  const began = performance.now()
  const [answer] = await Promise.all([fetchState().catch((error) => head.lose(error)), fetchMore()])
  isPolling = false
  timer = setTimeout(poll, Math.max(100, EVERY_MS - (performance.now() - began)))
  if (!answer) return
  state = answer
  show()
}

/** Shows what the address says. */
function restore() {
  const before = view
  view = viewOf()
  for (const name of VIEWS) hide(at(`view-${name}`), name !== view)
  hide(at('traffic'), view === 'setup')
  for (const link of document.querySelectorAll('nav a')) {
    attribute(link, 'aria-current', link.dataset.view === view ? 'page' : undefined)
  }
  backends.restore()
  requests.restore()
  void traffic.load()
  isOpening = view === 'requests' && (isOpening || before !== view)
  if (isOpening) void loadRequests()
}

for (const link of document.querySelectorAll('nav a')) {
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    goTo({ view: link.dataset.view === 'backends' ? '' : link.dataset.view }, true)
  }
}
addEventListener('openbackend', ({ detail }) => backends.open(detail, true))
addEventListener('popstate', () => {
  keepToken()
  restore()
})
document.addEventListener('visibilitychange', poll)
at('host').textContent = location.host
keepToken()
restore()
void poll()
