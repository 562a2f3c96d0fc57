import { attribute, copyOf, hide, put } from './dom.js'
import { ago, bytes, count, duration, firstByte, perSecond } from './format.js'
import { pathOf } from './spark.js'

/** From this part of its max-connections on, a backend counts as full. */
export const FULL = 0.9

const orDash = (value, format) => (value === null ? '–' : format(value))
export const rateText = (rate) => orDash(rate, (n) => `${perSecond(n)}/s`)
export const bytesText = (rate) => orDash(rate, (n) => `${bytes(n)}/s`)
export const errorsText = (rate) => orDash(rate, (n) => (n === 0 ? '0' : `${perSecond(n)}/s`))
export const firstByteText = (seconds) => orDash(seconds, firstByte)

/** The state of a backend in words. */
export function stateText({ backend, condition }) {
  if (condition !== 'draining') return condition
  return backend.drainedBy.includes('check') ? 'draining by its health check' : 'draining'
}

/** How long it has been so, and what comes next. `now`: ms since 1970 by the server's clock. */
export function sinceText({ backend, condition }, now) {
  const { since, draining, drainingSince, ejectedUntil, retryAt } = backend
  const until = (ms) => Math.max(0, Math.ceil((ms - now) / 1000))
  if (condition === 'ejected') return `for ${duration(until(ejectedUntil))}`
  const age = duration((now - (condition === 'draining' ? drainingSince : since)) / 1000)
  const isProbed = condition === 'down' && retryAt !== undefined
  const probe = isProbed && (until(retryAt) > 0 ? `probe in ${duration(until(retryAt))}` : 'probing')
  return [age, condition === 'down' && draining && 'draining', probe].filter(Boolean).join(', ')
}

/** What is not usual about it: where it is a backup, has another weight, or comes up slowly. */
export function notesOf({ weight, configuredWeight, effectiveWeight, backup }) {
  const share = effectiveWeight < weight && `slow start ${Math.round((100 * effectiveWeight) / weight)} %`
  const changed = configuredWeight !== undefined && configuredWeight !== weight && `config: ${configuredWeight}`
  return [backup && 'backup', weight === 0 && 'returning only', share, changed].filter(Boolean)
}

/** Rows within so many pixels of the window are up to date. Others get their figures when they come near. */
const NEAR_PX = 300

const rows = new WeakMap()
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) rows.get(target).isNear = isIntersecting
  },
  { rootMargin: `${NEAR_PX}px` },
)

/** One row of the table. It is updated in place, so that it keeps the focus. */
export class Row {
  element
  #parts
  #isNear = true
  #last

  /** `toggle` opens and closes its details. */
  constructor(id, toggle) {
    const { element, parts } = copyOf('row')
    this.element = element
    this.#parts = parts
    put(parts.id, id)
    parts.toggle.title = id
    parts.toggle.onclick = toggle
    rows.set(element, this)
    observer.observe(element)
    element.onclick = ({ target }) => {
      // Who selects text in the row does not mean to open it.
      if (!target.closest('button') && getSelection().isCollapsed) toggle()
    }
  }

  set isNear(isNear) {
    this.#isNear = isNear
    if (isNear && this.#last) this.#fillFigures(...this.#last)
  }

  set isOpen(isOpen) {
    attribute(this.#parts.toggle, 'aria-expanded', isOpen)
    attribute(this.#parts.toggle, 'aria-controls', isOpen ? 'details' : undefined)
  }

  /** `about`: { now, points, most, outliers }, the server's time in ms, how the small line is drawn, and what stands out. */
  fill(item, about) {
    attribute(this.element, 'data-state', item.condition)
    attribute(this.#parts.state, 'data-state', item.condition)
    put(this.#parts.state, stateText(item))
    this.#last = [item, about]
    if (this.#isNear) this.#fillFigures(item, about)
  }

  #fillFigures(item, { now, points, most, outliers }) {
    const { backend } = item
    put(this.#parts.since, sinceText(item, now))
    put(this.#parts.address, backend.address === backend.id ? '' : backend.address)
    put(this.#parts.rate, rateText(item.rate))
    put(this.#parts.errors, errorsText(item.errors))
    const { slowSince = -1, failingSince = -1 } = outliers.get(backend.id) ?? {}
    this.#parts.errors.classList.toggle('hot', failingSince >= 0)
    this.#parts.latency.classList.toggle('hot', slowSince >= 0)
    put(this.#parts.p99, firstByteText(item.p99))
    attribute(this.#parts.line, 'd', pathOf(item.latencies, points, most))
    put(this.#parts.in, bytesText(item.in))
    put(this.#parts.out, bytesText(item.out))
    put(this.#parts.weight, String(backend.weight))
    put(this.#parts.notes, notesOf(backend).join(' · '))
    this.#fillConnections(backend)
    this.#fillError(backend, now)
  }

  #fillConnections({ connections, maxConnections }) {
    const isLimited = maxConnections !== null
    put(this.#parts.open, isLimited ? `${count(connections)} / ${count(maxConnections)}` : count(connections))
    hide(this.#parts.meter, !isLimited)
    if (!isLimited) return
    const share = maxConnections > 0 ? Math.min(1, connections / maxConnections) : 1
    attribute(this.#parts.meter, 'value', share.toFixed(2))
  }

  #fillError({ lastError }, now) {
    put(this.#parts.error, lastError ? lastError.message : '')
    put(this.#parts.ago, lastError ? ago((now - lastError.at) / 1000) : '')
    attribute(this.#parts.error, 'title', lastError?.message)
  }
}
