import { attribute, make, put } from './dom.js'
import { clock } from './format.js'
import { SPAN_S } from './history.js'
import UPlot from './uplot.js'

const HEIGHT = 132
const MINUTE_S = 60
/** Width in pixels from which each minute has a label. */
const WIDE = 340
const STEPS = Array.from({ length: 54 }, (_, i) => [1, 2, 5][i % 3] * 10 ** (Math.floor(i / 3) - 3))
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

export const dark = matchMedia('(prefers-color-scheme: dark)')

/**
 * A graph of the last five minutes with a legend, which shows the values under the pointer, or else the latest.
 * `kind`: its title, the formats `text` and `axis`, `least` as the smallest maximum of the axis, and
 * `linesOf(series)`: { label, color, values, width, dash }[], which are `stacked` from the first upward or not.
 */
export class Graph {
  #kind
  #title
  #time = make('time')
  #place = make('div', { className: 'plot', tabIndex: 0 })
  #legend = make('p', { className: 'legend' })
  /** The values of the legend, by line. */
  #figures = []
  #lines = []
  #times = []
  #plot
  #drawn = ''

  constructor(figure, kind) {
    this.#kind = kind
    this.#title = make('figcaption', {}, make('b', { className: 'title', textContent: kind.title }), this.#time)
    this.#place.setAttribute('role', 'img')
    this.#place.onkeydown = (event) => this.#step(event)
    this.#place.onblur = () => this.#plot?.setCursor({ left: -10, top: -10 })
    figure.replaceChildren(this.#title, this.#place, this.#legend)
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#place.clientWidth, height: HEIGHT })).observe(
      this.#place,
    )
  }

  /** `times` are ms since 1970. Without a series, the graph is empty. */
  show(times, series) {
    this.#times = times
    this.#lines = series ? this.#kind.linesOf(series).filter(isShown) : []
    const data = [times.map((ms) => ms / 1000), ...this.#heights()]
    const drawn = [dark.matches, ...this.#lines.map(({ label, color }) => label + color)].join()
    if (this.#plot && drawn === this.#drawn) this.#plot.setData(data)
    else this.#draw(data)
    this.#drawn = drawn
    this.#tell()
    const now = this.#lines.map(({ label, values }) => `${label} ${this.#textOf(values.at(-1))}`).join(', ')
    attribute(this.#place, 'aria-label', `${this.#kind.title} now: ${now || 'unknown'}`)
  }

  /** What is drawn: the values, or for a stack the sums up to each line; the topmost first, as lower ones cover it. */
  #heights() {
    if (!this.#kind.stacked) return this.#lines.map(({ values }) => values)
    const sums = this.#times.map(() => 0)
    const heights = this.#lines.map(({ values }) =>
      values.map((value, i) => {
        sums[i] += value ?? 0
        return value === null ? null : sums[i]
      }),
    )
    return heights.reverse()
  }

  #draw(data) {
    this.#plot?.destroy()
    const { least, stacked, axis } = this.#kind
    const look = { stroke: style('--muted'), font: `11px ${style('--font')}`, ticks: { show: false } }
    const series = this.#lines.map((line) => lineOf(line, stacked))
    const now = () => (this.#times.at(-1) ?? Date.now()) / 1000
    this.#plot = new UPlot(
      {
        width: this.#place.clientWidth,
        height: HEIGHT,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          points: { show: !stacked, size: 6 },
          sync: { key: 'badass' },
        },
        scales: {
          x: { time: false, range: () => [now() - SPAN_S, now()] },
          y: { range: (_, __, max) => [0, Math.max(least, (max || 0) * 1.08)] },
        },
        axes: [
          {
            ...look,
            grid: { show: false },
            size: 22,
            splits: ({ width }) => minutes(now(), width < WIDE ? 2 : 1),
            values: (_, all) => all.map(time),
          },
          {
            ...look,
            grid: { stroke: style('--line'), width: 1 },
            size: 58,
            space: 30,
            incrs: STEPS,
            values: (_, splits) => splits.map(axis),
          },
        ],
        series: [{}, ...(stacked ? series.reverse() : series)],
        hooks: { setCursor: [() => this.#tell()] },
      },
      data,
      this.#place,
    )
    this.#drawLegend()
  }

  #drawLegend() {
    this.#figures = this.#lines.map(() => make('b'))
    const entries = this.#lines.map(({ label, color, dash }, i) => {
      const key = make('i', { className: dash ? 'key dashed' : 'key' })
      key.style.color = style(color)
      return make('span', {}, key, `${label} `, this.#figures[i])
    })
    this.#legend.replaceChildren(...entries)
  }

  /** Writes the values under the pointer, or the latest, into the legend. */
  #tell() {
    const index = this.#plot?.cursor.left >= 0 ? this.#plot.cursor.idx : null
    const place = index ?? this.#times.length - 1
    put(this.#time, index == null ? '' : clock(this.#times[index]))
    for (const [i, { values }] of this.#lines.entries()) put(this.#figures[i], this.#textOf(values[place]))
  }

  #textOf(value) {
    return value == null ? '–' : this.#kind.text(value)
  }

  /** Left and right move from sample to sample. */
  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!by || !this.#plot || this.#times.length === 0) return
    event.preventDefault()
    const { cursor } = this.#plot
    const from = cursor.left >= 0 ? cursor.idx : this.#times.length
    const index = Math.min(this.#times.length - 1, Math.max(0, from + by))
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#times[index] / 1000, 'x'), top: 1 })
  }
}

/** A line without a value other than 0 is left out, unless it is one that should be seen at 0. */
function isShown({ values, isRare }) {
  return !isRare || values.some((value) => value > 0)
}

function lineOf({ label, color, width = 1.5, dash }, isStacked) {
  const stroke = style(color)
  const look = isStacked ? { fill: stroke, width: 0 } : { width, ...(dash && { dash }) }
  return { label, stroke, points: { show: false }, spanGaps: false, ...look }
}

/** The full minutes of the graph, or every second one. */
function minutes(now, step) {
  const last = Math.floor(now / MINUTE_S / step) * step
  return Array.from({ length: SPAN_S / MINUTE_S / step }, (_, i) => (last - i * step) * MINUTE_S).reverse()
}

function time(seconds) {
  return clock(seconds * 1000).slice(0, 5)
}
