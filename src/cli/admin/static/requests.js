// The slowest and the failing requests of the last minutes. They tell about clients, so they need the token.
import { at, hide, make, put } from './dom.js'
import { ago, clock, count, latency, plural } from './format.js'
import { goTo, placeOf } from './place.js'
import { tableOf } from './tables.js'
import { askToken, hasToken, send } from './token.js'

/** What requests have in common is shown if it is true of at least so many of them. */
const COMMON = 0.2
const FACETS = { backend: idOf, client: addressOf, path: ({ path }) => path }
const MOST_FACETS = 3

/** The id of the backend on this page, which names the pool too. */
function idOf({ pool, backend }) {
  return backend && pool && pool !== 'default' ? `${pool}/${backend}` : backend
}

/** What the words of a filter are searched in. */
function textOf(entry) {
  const { client, method, path, status, code, pool } = entry
  return [client, method, path, status, code, pool, idOf(entry)].filter((one) => one !== undefined).join(' ')
}

/** The address of a client without its port, such as '10.0.0.7' or '[::1]'. */
function addressOf({ client }) {
  return client.replace(/^(\[.*\]|[^:]*):\d+$/, '$1')
}

/** The most common values of what names a cause: [facet, value, number of requests][], most common first. */
export function commonOf(entries) {
  const all = Object.entries(FACETS).flatMap(([facet, read]) => {
    const counts = new Map()
    for (const entry of entries) {
      const value = read(entry)
      if (value) counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, MOST_FACETS)
    return most.map(([value, n]) => [facet, value, n])
  })
  return all.filter(([, , n]) => n > 1 && n >= entries.length * COMMON)
}

export class Requests {
  #answer
  #shown = ''
  #now = 0
  #isAsking = false

  constructor() {
    at('requests-filter').oninput = () => {
      goTo({ about: at('requests-filter').value })
      this.#draw()
    }
    at('give-token').onclick = () => this.#ask()
    for (const button of this.#kinds()) {
      button.onclick = () => {
        goTo({ kind: button.dataset.kind })
        this.#draw()
      }
    }
  }

  #kinds() {
    return at('request-kinds').querySelectorAll('button')
  }

  restore() {
    at('requests-filter').value = placeOf('about')
    this.#draw()
  }

  /**
   * Fetches them. `now`: ms since 1970 by the server's clock. `isRecorded`: badass keeps them. `isOpening`: the user has
   * just come here, and may be asked for the token.
   */
  async load(now, isRecorded, isOpening = false) {
    this.#now = now
    if (!isRecorded) {
      this.#note('They are not recorded. Start badass with --admin-requests to see them.')
      return
    }
    if (this.#isAsking) return
    // Without the token, only whether they are recorded is to be learnt: once is enough.
    if (!hasToken() && !isOpening) return
    const response = await send('api/requests').catch(() => undefined)
    if (response?.status === 401) {
      this.#note('They name clients and paths, so they need the token.', true)
      if (isOpening) await this.#ask()
    } else if (response?.ok) {
      this.#answer = await response.json()
      this.#draw()
    } else if (response) {
      const { error } = await response.json().catch(() => ({}))
      this.#note(error ?? `badass answered ${response.status}`)
    }
  }

  async #ask() {
    this.#isAsking = true
    let error = ''
    while (await askToken(error)) {
      const response = await send('api/requests').catch(() => undefined)
      if (response?.status !== 401) break
      error = 'That token is wrong.'
    }
    this.#isAsking = false
    if (hasToken()) await this.load(this.#now, true)
  }

  #note(text, needsToken = false) {
    this.#answer = undefined
    this.#shown = ''
    put(at('requests-note'), text)
    hide(at('requests-off'), false)
    hide(at('requests-on'), true)
    hide(at('request-kinds'), true)
    hide(at('requests-filter'), true)
    hide(at('give-token'), !needsToken)
  }

  #draw() {
    if (!this.#answer) return
    const kind = placeOf('kind') || 'failed'
    const words = placeOf('about').toLowerCase().split(/\s+/).filter(Boolean)
    const matches = (entry) => words.every((word) => textOf(entry).toLowerCase().includes(word))
    const lists = { failed: this.#answer.failed.filter(matches), slowest: this.#answer.slowest.filter(matches) }
    hide(at('requests-off'), true)
    hide(at('requests-on'), false)
    hide(at('request-kinds'), false)
    hide(at('requests-filter'), false)
    for (const button of this.#kinds()) {
      button.setAttribute('aria-pressed', button.dataset.kind === kind)
      put(button.querySelector('b'), count(lists[button.dataset.kind].length))
    }
    const shown = JSON.stringify([kind, lists[kind], words])
    if (shown === this.#shown) return
    this.#shown = shown
    this.#drawCommon(lists[kind])
    at('requests').replaceChildren(
      lists[kind].length > 0 ? requestTable(lists[kind], this.#now) : nothing(words.length > 0),
    )
  }

  /** Answers 'for whom': buttons that filter by what many of the requests have in common. */
  #drawCommon(entries) {
    const buttons = commonOf(entries).map(([facet, value, n]) => {
      const button = make('button', { type: 'button' }, `${facet} `, make('b', { textContent: value }), ` ${count(n)}`)
      button.onclick = () => {
        at('requests-filter').value = value
        at('requests-filter').oninput()
      }
      return button
    })
    const what = `In common, of ${plural(entries.length, 'request')}:`
    at('common').replaceChildren(...(buttons.length > 0 ? [make('span', { textContent: what }), ...buttons] : []))
  }
}

function nothing(isFiltered) {
  return make('p', {
    className: 'empty',
    textContent: isFiltered ? 'None of them matches.' : 'None in the last five minutes.',
  })
}

function requestTable(entries, now) {
  const longest = Math.max(...entries.map(({ total }) => total))
  const time = (name) => (entry) => entry[name] !== undefined && latency(entry[name] / 1000)
  return tableOf(
    'Requests',
    [
      ['Time', (entry) => make('span', { textContent: clock(entry.at), title: ago((now - entry.at) / 1000) })],
      ['Client', ({ client }) => client],
      ['Request', ({ method, path }) => requestCell(method, path), 'break'],
      ['Result', resultCell],
      ['Pool', ({ pool }) => pool],
      ['Backend', (entry) => entry.backend && backendLink(idOf(entry))],
      ['Connect', time('connect'), 'number'],
      ['First byte', time('firstByte'), 'number'],
      ['Total', time('total'), 'number strong'],
      ['', (entry) => barOf(entry, longest), 'bar-cell'],
    ],
    entries,
  )
}

function requestCell(method, path) {
  return make('span', {}, make('b', { textContent: method }), ` ${path}`)
}

function resultCell({ status, code }) {
  const state = code || status === undefined || status >= 500 ? 'down' : status >= 400 ? 'draining' : 'plain'
  return make('span', {
    className: 'badge',
    data: { state },
    textContent: [status, code].filter(Boolean).join(' ') || 'no status',
  })
}

function backendLink(id) {
  const button = make('button', { type: 'button', className: 'link', textContent: id })
  button.onclick = () => dispatchEvent(new CustomEvent('openbackend', { detail: id }))
  return button
}

/** Where the time went, as parts of a bar: connecting, waiting for the first byte, the rest. */
function barOf({ connect = 0, firstByte, total }, longest) {
  const waited = firstByte ?? Math.max(0, total - connect)
  const parts = [connect, waited, Math.max(0, total - connect - waited)]
  const bar = make('span', { className: 'bar' })
  bar.setAttribute('aria-hidden', 'true')
  for (const _part of parts) bar.append(make('i'))
  for (const [i, part] of parts.entries()) bar.children[i].style.width = `${longest > 0 ? (100 * part) / longest : 0}%`
  return bar
}
