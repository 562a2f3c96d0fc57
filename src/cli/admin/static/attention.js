// Finds what an operator should look at: what is down, slow, failing, full or about to expire, and since when.
import { at, attribute, hide, make, put } from './dom.js'
import { clock, duration, latency } from './format.js'
import { outliersOf } from './outliers.js'
import { FULL, firstByteText, rateText } from './row.js'
import { expiryOf, expiryText } from './setup.js'

const MOST = 6

/** How long it has lasted, and since when. `times`: ms of the samples. */
function sinceText(times, index) {
  const text = duration((times.at(-1) - times[index]) / 1000)
  return index === 0 ? `for over ${text}` : `for ${text}, since ${clock(times[index])}`
}

/** Each backend that is slow or fails, compared with the others of its pool. */
function outliers(items, { times }) {
  return [...Map.groupBy(items, ({ pool }) => pool).values()].flatMap((pool) => {
    const found = outliersOf(pool)
    return pool.flatMap(({ backend: { id }, p99 }) => {
      const { usual, rate, slowSince = -1, failingSince = -1 } = found.get(id) ?? {}
      const slow = () => `${sinceText(times, slowSince)} · p99 ${firstByteText(p99)}, its pool ${latency(usual)}`
      const failing = () => `${sinceText(times, failingSince)} · ${rateText(rate)} errors`
      return [
        ...(slowSince < 0 ? [] : [{ severity: 1, what: 'slow', name: id, id, text: slow() }]),
        ...(failingSince < 0 ? [] : [{ severity: 1, what: 'failing', name: id, id, text: failing() }]),
      ]
    })
  })
}

/** Each backend that takes no clients though nobody asked for that, or soon cannot. */
function troubles(items, now) {
  return items.flatMap(({ backend, condition }) => {
    const { id, since, lastError, ejectedUntil, connections, maxConnections } = backend
    const why = lastError ? ` · ${lastError.message}` : ''
    if (condition === 'down') {
      return [{ severity: 0, what: 'down', name: id, id, text: `for ${duration((now - since) / 1000)}${why}` }]
    }
    if (condition === 'ejected') {
      const left = duration((ejectedUntil - now) / 1000)
      return [{ severity: 1, what: 'ejected', name: id, id, text: `for another ${left}${why}` }]
    }
    if (maxConnections === null || connections < maxConnections * FULL) return []
    return [{ severity: 2, what: 'full', name: id, id, text: `${connections} of ${maxConnections} connections` }]
  })
}

function expiries(certificates, now) {
  return certificates.flatMap((certificate) => {
    const { names = [], file, error } = certificate
    const expiry = expiryOf(certificate, now)
    if (expiry === 'fine' && !error) return []
    const text = [expiry !== 'fine' && expiryText(certificate, now), error].filter(Boolean).join(' · ')
    return [{ severity: expiry === 'expired' || error ? 1 : 2, what: 'certificate', name: names[0] ?? file, text }]
  })
}

/** All of it, the most severe first: { severity, what, name, text, id? }[]. */
export function problemsOf(items, past, certificates, now) {
  const found = [...troubles(items, now), ...(past ? outliers(items, past) : []), ...expiries(certificates, now)]
  return found.sort((a, b) => a.severity - b.severity)
}

/** The looks of a severity. */
const STATES = ['down', 'down', 'draining']

export class Attention {
  #open
  #showSetup
  #isWhole = false
  #list = []

  /** `open(id)` shows a backend, `showSetup()` the certificates. */
  constructor(open, showSetup) {
    this.#open = open
    this.#showSetup = showSetup
    at('all-problems').onclick = () => {
      this.#isWhole = true
      this.#draw()
    }
  }

  show(items, past, certificates, now) {
    this.#list = problemsOf(items, past, certificates, now)
    this.#draw()
  }

  #draw() {
    const shown = this.#isWhole ? this.#list : this.#list.slice(0, MOST)
    const list = at('problems')
    while (list.children.length > shown.length) list.lastElementChild.remove()
    while (list.children.length < shown.length) list.append(lineOf())
    for (const [i, { severity, what, name, text, id }] of shown.entries()) {
      const button = list.children[i].firstElementChild
      const [badge, title, about] = button.children
      attribute(badge, 'data-state', STATES[severity])
      put(badge, what)
      put(title, name)
      put(about, text)
      attribute(button, 'title', text)
      button.onclick = () => (id === undefined ? this.#showSetup() : this.#open(id))
    }
    hide(at('calm'), this.#list.length > 0)
    hide(at('all-problems'), shown.length === this.#list.length)
    put(at('all-problems'), `and ${this.#list.length - shown.length} more`)
  }
}

function lineOf() {
  const button = make('button', { type: 'button' }, make('span', { className: 'badge' }), make('b'), make('span'))
  return make('li', {}, button)
}
