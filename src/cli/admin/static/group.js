import { CONDITIONS, sumOf } from './columns.js'
import { arrange, attribute, copyOf, hide, make, put } from './dom.js'
import { count } from './format.js'
import { bytesText, errorsText, firstByteText, rateText } from './row.js'

/** Rows that a group shows at first, and more each time that more are asked for. */
const PAGE = 100

/** The rows of a pool, below a heading that opens and closes them; or all rows, without one. */
export class Group {
  element = make('tbody')
  #head
  #parts
  #more = make('tr', { className: 'more' })
  #moreButton = make('button', { type: 'button' })
  #limit = PAGE

  /** `actions`: toggle(), choose() and redraw(). */
  constructor(pool, { toggle, choose, redraw }) {
    const { element, parts } = copyOf('group')
    this.#head = element
    this.#parts = parts
    put(parts.name, pool)
    parts.toggle.onclick = toggle
    parts.graphs.onclick = choose
    attribute(parts.graphs, 'aria-label', `Show the graphs of pool ${pool}`)
    this.#more.append(make('td', { colSpan: parts.end.cellIndex + 1 }, this.#moreButton))
    this.#moreButton.onclick = () => {
      this.#limit += PAGE
      redraw()
    }
  }

  /**
   * `items`: those that match the filter, in order. `all`: all of the pool. `rowOf(item)` returns the filled row's
   * elements. `isOpen` is undefined for a group without a heading.
   */
  show(items, all, { p99, isOpen, rowOf }) {
    const hasHead = isOpen !== undefined
    const shown = isOpen === false ? [] : items.slice(0, this.#limit)
    const left = isOpen === false ? 0 : items.length - shown.length
    const rows = shown.flatMap(rowOf)
    arrange(this.element, [...(hasHead ? [this.#head] : []), ...rows, ...(left > 0 ? [this.#more] : [])])
    put(this.#moreButton, `Show ${count(Math.min(left, PAGE))} more of ${count(items.length)}`)
    hide(this.element, items.length === 0)
    if (hasHead) this.#fillHead(items, all, p99, isOpen)
  }

  #fillHead(items, all, p99, isOpen) {
    const { open, rate, in: read, out, errors } = sumOf(all)
    attribute(this.#parts.toggle, 'aria-expanded', isOpen)
    put(
      this.#parts.count,
      items.length < all.length ? `${count(items.length)} of ${count(all.length)}` : count(all.length),
    )
    put(this.#parts.state, statesText(all))
    attribute(this.#parts.state, 'data-state', worstOf(all))
    put(this.#parts.open, count(open))
    put(this.#parts.rate, rateText(rate))
    put(this.#parts.errors, errorsText(errors))
    put(this.#parts.p99, firstByteText(p99))
    put(this.#parts.in, bytesText(read))
    put(this.#parts.out, bytesText(out))
  }
}

function countsOf(items) {
  return CONDITIONS.map((name) => [name, items.filter(({ condition }) => condition === name).length])
}

function worstOf(items) {
  return countsOf(items).find(([, n]) => n > 0)?.[0]
}

/** Such as '1 down, 1 draining', or 'all up'. */
function statesText(items) {
  const parts = countsOf(items).filter(([name, n]) => n > 0 && name !== 'up')
  return parts.length > 0 ? parts.map(([name, n]) => `${count(n)} ${name}`).join(', ') : 'all up'
}
