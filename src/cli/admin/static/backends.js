import { CONDITIONS, isColumn, isRisingFirst, matcherOf, sorted } from './columns.js'
import { Details } from './details.js'
import { at, attribute, hide, make, put } from './dom.js'
import { count, countStates } from './format.js'
import { Group } from './group.js'
import { latest } from './history.js'
import { outliersOf } from './outliers.js'
import { goTo, placeOf } from './place.js'
import { Row } from './row.js'
import { pointsOf } from './spark.js'

/** From this number of backends on, the pools are closed at first. */
const CLOSED_FROM = 200
/** The top of the small lines is at least this many seconds, so that noise looks like noise. */
const LEAST_TOP_S = 0.1

/** The table of backends: by pool, sorted, filtered, one of them open. */
export class Backends {
  #rows = new Map()
  #groups = new Map()
  #chips = new Map()
  /** Pools that the user opened or closed. */
  #toggled = new Map()
  #history
  #traffic
  #now = 0
  #items = []
  #outliers = new Map()
  /** Rank of each id in the order of the last time it was sorted. */
  #ranks = new Map()
  #details
  #isUnderMouse = false
  #points = { times: undefined, points: [] }

  /** `changed` is called after an action. */
  constructor(history, traffic, changed) {
    this.#history = history
    this.#traffic = traffic
    this.#details = new Details(traffic, changed, () => this.open(''))
    at('filter').oninput = () => {
      goTo({ filter: at('filter').value })
      this.#draw()
    }
    at('grouped').onchange = () => {
      goTo({ flat: at('grouped').checked ? '' : '1' })
      this.#draw(true)
    }
    for (const head of this.#heads()) head.querySelector('button').onclick = () => this.#sortBy(head.dataset.sort)
    for (const name of ['', ...CONDITIONS.toReversed()]) this.#addChip(name)
    // A finger leaves no pointer behind.
    at('backends').onpointerenter = ({ pointerType }) => {
      this.#isUnderMouse = pointerType === 'mouse'
    }
    at('backends').onpointerleave = () => {
      this.#isUnderMouse = false
    }
  }

  /** `now`: ms since 1970 by the server's clock. */
  show(items, now) {
    const { past } = this.#history
    this.#now = now
    this.#items = items
    const pools = Map.groupBy(this.#items, ({ pool }) => pool)
    this.#outliers = new Map([...pools.values()].flatMap((items) => [...outliersOf(items)]))
    if (past && past.times !== this.#points.times) this.#points = { times: past.times, points: pointsOf(past.times) }
    const ids = new Set(items.map(({ backend }) => backend.id))
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id)
    if (placeOf('open') && !ids.has(placeOf('open'))) this.open('')
    else this.#draw()
  }

  /** Reads again what the address says. */
  restore() {
    at('filter').value = placeOf('filter')
    at('grouped').checked = placeOf('flat') === ''
    if (this.#now) this.#draw(true)
  }

  /** Opens the details of a backend, and brings it into view. '' closes them. */
  open(id, isFar = false) {
    if (isFar) goTo({ view: '', filter: '', state: '', open: id }, true)
    else goTo({ open: id })
    const item = this.#items.find(({ backend }) => backend.id === id)
    if (isFar && item) this.#toggled.set(item.pool, true)
    if (isFar) this.restore()
    else this.#draw()
    if (isFar) this.#rows.get(id)?.element.scrollIntoView({ block: 'center' })
  }

  /** Fetches what is new about the open backend. */
  async load() {
    if (placeOf('open')) await this.#details.load()
  }

  #heads() {
    return document.querySelectorAll('#backends thead [data-sort]')
  }

  #sortBy(name) {
    const [column, direction] = placeOf('sort').split('.')
    const first = isRisingFirst(name) ? 'up' : 'down'
    const second = first === 'up' ? 'down' : 'up'
    // The third time returns to the order of the config.
    const next = column !== name ? first : direction === first ? second : undefined
    goTo({ sort: next && `${name}.${next}` })
    this.#draw(true)
  }

  #addChip(name) {
    const number = make('b')
    const label = name === '' ? 'all' : name
    const button = make('button', { type: 'button', data: { state: name } }, number, ` ${label}`)
    button.onclick = () => {
      goTo({ state: name })
      this.#draw(true)
    }
    this.#chips.set(name, { button, number })
    at('states').append(button)
  }

  /** `isAsked`: the user asked for it, so rows may move. */
  #draw(isAsked = false) {
    const filter = placeOf('filter').trim()
    const condition = placeOf('state')
    const items = this.#inOrder(isAsked)
    const matches = matcherOf(filter, condition)
    const matching = items.filter(matches)
    this.#drawControls(condition)
    this.#drawGroups(items, matching, filter !== '' || condition !== '')
    hide(at('backends'), matching.length === 0)
    hide(at('empty'), matching.length > 0)
    const none = 'No backends: every client gets a 503 until there is one.'
    put(at('empty'), items.length > 0 ? 'None of them matches.' : none)
  }

  /** While the pointer or the focus is on the rows, they stay where they are: a click must not hit another backend. */
  #inOrder(isAsked) {
    const [column, direction] = placeOf('sort').split('.')
    for (const head of this.#heads()) {
      const isSorted = head.dataset.sort === column
      attribute(head, 'aria-sort', isSorted ? (direction === 'up' ? 'ascending' : 'descending') : undefined)
    }
    const isHeld = !isAsked && isColumn(column) && this.#isUsed()
    if (isHeld) {
      const rankOf = ({ backend }) => this.#ranks.get(backend.id) ?? Number.POSITIVE_INFINITY
      const ranked = this.#items.map((item) => [rankOf(item), item])
      return ranked.sort(([a], [b]) => (a === b ? 0 : a - b)).map(([, item]) => item)
    }
    const items = sorted(this.#items, column, direction === 'up')
    this.#ranks = new Map(items.map(({ backend }, i) => [backend.id, i]))
    return items
  }

  #isUsed() {
    return this.#isUnderMouse || [...at('backends').tBodies].some((body) => body.contains(document.activeElement))
  }

  #drawControls(condition) {
    const counts = countStates(this.#items.map(({ backend }) => backend))
    for (const [name, { button, number }] of this.#chips) {
      const n = name === '' ? this.#items.length : counts[name]
      put(number, count(n))
      attribute(button, 'aria-pressed', name === condition)
      hide(button, n === 0 && name !== '' && name !== condition)
    }
  }

  #drawGroups(items, matching, isFiltered) {
    const pools = Map.groupBy(items, ({ pool }) => pool)
    hide(at('grouped').parentElement, pools.size < 2)
    const isGrouped = pools.size > 1 && placeOf('flat') === ''
    const names = isGrouped ? this.#namesOf(pools) : ['']
    for (const [name, group] of this.#groups) {
      if (names.includes(name)) continue
      group.element.remove()
      this.#groups.delete(name)
    }
    for (const name of names) {
      const all = isGrouped ? pools.get(name) : items
      const shown = isGrouped ? matching.filter(({ pool }) => pool === name) : matching
      this.#groupOf(name).show(shown, all, {
        p99: latest(this.#poolSeries(name)?.firstByte.p99),
        isOpen: isGrouped ? this.#isOpen(name, isFiltered) : undefined,
        rowOf: this.#rowMaker(all),
      })
    }
  }

  /** Pools in the order of the config, which sorting does not change. */
  #namesOf(pools) {
    const names = [...new Set(this.#items.map(({ pool }) => pool))]
    return names.filter((name) => pools.has(name))
  }

  #poolSeries(name) {
    const pools = this.#history.past?.pools
    return pools && Object.hasOwn(pools, name) ? pools[name] : undefined
  }

  #groupOf(name) {
    let group = this.#groups.get(name)
    if (!group) {
      group = new Group(name, {
        toggle: () => {
          this.#toggled.set(name, !this.#isOpen(name, false))
          this.#draw()
        },
        choose: () => this.#traffic.choose(`pool:${name}`),
        redraw: () => this.#draw(),
      })
      this.#groups.set(name, group)
      at('backends').append(group.element)
    }
    return group
  }

  #isOpen(name, isFiltered) {
    return isFiltered || (this.#toggled.get(name) ?? this.#items.length < CLOSED_FROM)
  }

  /** Makes the elements of an item: its row, and its details if it is open. */
  #rowMaker(all) {
    const tops = all.map(({ latencies }) => Math.max(...latencies.map((value) => value ?? 0)))
    const most = Math.max(LEAST_TOP_S, ...tops)
    const about = { now: this.#now, points: this.#points.points, most, outliers: this.#outliers }
    const openId = placeOf('open')
    return (item) => {
      const { id } = item.backend
      const row = this.#rows.get(id) ?? new Row(id, () => this.open(placeOf('open') === id ? '' : id))
      this.#rows.set(id, row)
      row.fill(item, about)
      row.isOpen = id === openId
      if (id !== openId) return [row.element]
      this.#details.show(item, this.#items, this.#now)
      return [row.element, this.#details.element]
    }
  }
}
