import { act, confirmReset, say } from './actions.js'
import { colorOf, dark } from './colors.js'
import { ago, bytes, count, countStates, duration, perSecond, plural } from './format.js'

const at = (id) => document.getElementById(id)
/** Number of backends from which the search box is shown. */
const FILTER_FROM = 9

/** One row of the table. It is updated in place, so that it keeps the focus. */
class Row {
  element
  #parts
  #backend

  constructor(id, changed, pointedAt) {
    this.element = at('row').content.firstElementChild.cloneNode(true)
    const parts = [...this.element.querySelectorAll('[data-part]')]
    this.#parts = Object.fromEntries(parts.map((part) => [part.dataset.part, part]))
    this.#put('id', id)
    this.#parts.id.title = id
    this.#parts.toggle.onclick = async () => {
      const { drainedBy } = this.#backend
      const action = drainedBy.includes('operator') ? 'ready' : 'drain'
      const back = drainedBy.includes('check') ? 'stays drained, because its health checks say so' : 'is back'
      const done = action === 'drain' ? 'is draining: it keeps its clients and takes no new ones' : back
      if (await act(id, action)) say(`${id} ${done}`)
      changed()
    }
    this.#parts.reset.onclick = async () => {
      if (!(await this.#isMeant())) return
      const answer = await act(id, 'kill')
      if (answer) say(`${plural(answer.reset, 'connection')} of ${id} ${answer.reset === 1 ? 'was' : 'were'} reset`)
      changed()
    }
    for (const name of ['mouseenter', 'focusin']) this.element.addEventListener(name, () => pointedAt(id))
    for (const name of ['mouseleave', 'focusout']) this.element.addEventListener(name, () => pointedAt(undefined))
  }

  /** `figures`: its rates per second. `now`: ms since 1970 by the server's clock. */
  fill(backend, figures, now) {
    this.#backend = backend
    const { id, address, source, weight, effectiveWeight } = backend
    const share = effectiveWeight < weight && `slow start ${Math.round((100 * effectiveWeight) / weight)} %`
    this.#parts.key.style.background = colorOf(id)
    const about = [
      address !== id && address,
      source,
      weight !== 1 && (weight ? `weight ${weight}` : 'returning only'),
      share,
    ]
    this.#put('address', about.filter(Boolean).join(' · '))
    this.#fillState(now)
    this.#fillConnections()
    this.#put('rate', figures.rate === null ? '–' : `${perSecond(figures.rate)}/s`)
    this.#put('in', figures.in === null ? '–' : `${bytes(figures.in)}/s`)
    this.#put('out', figures.out === null ? '–' : `${bytes(figures.out)}/s`)
    this.#put('read', `${bytes(backend.bytesRead)} in all`)
    this.#put('written', `${bytes(backend.bytesWritten)} in all`)
    this.#fillError(now)
    this.#fillButtons()
  }

  /** The text that the search matches. */
  get words() {
    const { id, address, source = '' } = this.#backend
    return [id, address, source, this.element.dataset.state].join(' ').toLowerCase()
  }

  #fillState(now) {
    const { state, draining, drainingSince, drainedBy, ejectedUntil, backup, since, retryAt } = this.#backend
    const seconds = retryAt === undefined ? undefined : Math.ceil((retryAt - now) / 1000)
    const probe = seconds === undefined ? '' : seconds > 0 ? ` · probe in ${duration(seconds)}` : ' · probing'
    const ejected = `ejected for ${duration(Math.max(0, Math.ceil((ejectedUntil - now) / 1000)))}`
    const isOut = state === 'down' || ejectedUntil !== undefined
    this.element.dataset.state = isOut ? 'down' : draining ? 'draining' : 'up'
    this.#parts.state.dataset.state = this.element.dataset.state
    const drained = drainedBy.includes('check') ? 'draining by its health check' : 'draining'
    this.#put('state', state === 'down' ? `down${probe}` : ejectedUntil ? ejected : draining ? drained : 'up')
    this.#parts.backup.hidden = !backup
    const alsoDraining = state === 'down' && draining ? ', draining' : ''
    const shownSince = this.element.dataset.state === 'draining' ? drainingSince : since
    this.#put('since', `for ${duration((now - shownSince) / 1000)}${alsoDraining}`)
  }

  #fillConnections() {
    const { connections, maxConnections, total } = this.#backend
    const limited = maxConnections !== null
    this.#put('connections', limited ? `${count(connections)} / ${count(maxConnections)}` : count(connections))
    this.#put('total', `${count(total)} in all`)
    this.#parts.meter.hidden = !limited
    if (!limited) return
    const share = maxConnections > 0 ? Math.min(1, connections / maxConnections) : 1
    this.#parts.level.style.width = `${(share * 100).toFixed(1)}%`
    this.#parts.meter.classList.toggle('full', share >= 0.9)
  }

  #fillError(now) {
    const { lastError, failures } = this.#backend
    this.#put('error', lastError ? lastError.message : '')
    this.#parts.error.title = lastError?.message ?? ''
    const failed = failures > 0 && plural(failures, 'failed connect')
    const age = lastError && ago((now - lastError.at) / 1000)
    this.#put('failures', [age, failed].filter(Boolean).join(' · '))
    this.element.querySelector('.trouble').classList.toggle('none', !lastError && failures === 0)
  }

  #fillButtons() {
    const { id, drainedBy, connections } = this.#backend
    const { toggle, reset } = this.#parts
    const isDrained = drainedBy.includes('operator')
    this.#put('toggle', isDrained ? 'Bring back' : 'Drain')
    toggle.setAttribute('aria-label', `${toggle.textContent} ${id}`)
    toggle.title = isDrained ? 'Let it take new clients again' : 'Keep its clients, take no new ones'
    reset.disabled = connections === 0
    reset.title = connections === 0 ? 'No connection is open' : 'Reset its open connections'
    reset.setAttribute('aria-label', `Reset the connections of ${id}`)
  }

  #isMeant() {
    const { id, connections, draining } = this.#backend
    const what = connections === 1 ? 'the one open connection' : `${count(connections)} open connections`
    const where = draining
      ? 'Their clients may come back, to other backends.'
      : 'Clients that come back may be sent here again: drain it first to prevent that.'
    return confirmReset(`Reset ${what} of ${id}?`, `What is under way on them is lost. ${where}`)
  }

  #put(part, text) {
    const element = this.#parts[part]
    if (element.textContent !== text) element.textContent = text
  }
}

export class Backends {
  #rows = new Map()
  #history
  #changed
  #pointedAt
  #state

  /** `changed` is called after an action, `pointedAt` with the id of the row under the pointer. */
  constructor(history, changed, pointedAt) {
    this.#history = history
    this.#changed = changed
    this.#pointedAt = pointedAt
    at('filter').oninput = () => this.#filter()
    dark.addEventListener('change', () => this.#state && this.show(this.#state))
  }

  show(state) {
    this.#state = state
    const ids = new Set(state.backends.map(({ id }) => id))
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue
      row.element.remove()
      this.#rows.delete(id)
    }
    let before = null
    for (const backend of state.backends) {
      const row = this.#rows.get(backend.id) ?? new Row(backend.id, this.#changed, this.#pointedAt)
      this.#rows.set(backend.id, row)
      const place = before ? before.nextElementSibling : at('backends').firstElementChild
      if (place !== row.element) at('backends').insertBefore(row.element, place)
      before = row.element
      row.fill(backend, this.#figures(backend.id), state.time)
    }
    at('summary').textContent = summary(state)
    at('filter').hidden = state.backends.length < FILTER_FROM
    this.#filter()
  }

  #figures(id) {
    // A backend added since the last sample has no figures.
    const { rate, in: read, out } = this.#history.backends.get(id) ?? { rate: [], in: [], out: [] }
    return { rate: this.#history.mean(rate), in: this.#history.mean(read), out: this.#history.mean(out) }
  }

  #filter() {
    const wanted = at('filter').hidden ? '' : at('filter').value.trim().toLowerCase()
    let shown = 0
    for (const row of this.#rows.values()) {
      row.element.hidden = !row.words.includes(wanted)
      if (!row.element.hidden) shown++
    }
    at('empty').hidden = shown > 0
    at('empty').textContent = wanted
      ? 'None of them matches.'
      : 'No backends: every client gets a 503 until there is one.'
    document.querySelector('table').hidden = shown === 0
  }
}

function summary({ backends, removed, counters }) {
  const { up, draining, ejected, down } = countStates(backends)
  const open = removed.reduce((sum, { connections }) => sum + connections, 0)
  const parts = [
    backends.length > 0 && `${up} up`,
    draining > 0 && `${draining} draining`,
    ejected > 0 && `${ejected} ejected`,
    down > 0 && `${down} down`,
    counters.queued > 0 && `${plural(counters.queued, 'request')} waiting`,
    open > 0 && `${plural(open, 'connection')} to removed backends`,
  ]
  return parts.filter(Boolean).join(' · ')
}
