import { colorOf, dark } from './colors.js'
import { bytes, bytesParts, count, perSecond } from './format.js'
import { SPAN_S } from './history.js'
import UPlot from './uplot.js'

const HEIGHT = 190
/** Time ranges of the graph: it shows no more than there are samples for. Ticks in s, with their labels. */
const SPANS = [
  { span: 60, ticks: [45, 30, 15, 0], names: ['45 s ago', '30', '15', 'now'] },
  { span: 120, ticks: [90, 60, 30, 0], names: ['90 s ago', '60', '30', 'now'] },
  { span: SPAN_S, ticks: [240, 180, 120, 60, 0], names: ['4 min ago', '3', '2', '1', 'now'] },
]
const MOST_IN_TIP = 8
/** A sample further than this from the pointer is not shown. */
const NEAR_PX = 40
const WHOLE_STEPS = Array.from({ length: 48 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3))
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** A graph of the last minutes, with the values under the pointer. */
class Graph {
  #figure
  #place = document.createElement('div')
  #tip = document.createElement('div')
  /** { text, axis, least, width }: formats of values and axis labels; the smallest maximum of the axis. */
  #scale
  /** { label, color, fill }[] */
  #lines = []
  #plot
  #now = 0
  #past = SPANS[0]

  constructor(figure, scale) {
    this.#figure = figure
    this.#scale = scale
    this.#place.className = 'plot'
    this.#place.setAttribute('role', 'img')
    this.#tip.className = 'tip'
    this.#tip.hidden = true
    figure.append(this.#place, this.#tip)
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#place.clientWidth, height: HEIGHT })).observe(
      this.#place,
    )
  }

  /** `lines`: { label, color, fill, values }[] over `times`. */
  show(times, lines) {
    this.#now = times.at(-1) ?? 0
    const age = this.#now - (times[0] ?? 0)
    this.#past = SPANS.find(({ span }) => span >= age) ?? SPANS.at(-1)
    const data = [times, ...lines.map(({ values }) => values)]
    const isSame =
      lines.length === this.#lines.length &&
      lines.every(({ label, color }, i) => label === this.#lines[i].label && color === this.#lines[i].color)
    this.#lines = lines
    if (this.#plot && isSame) this.#plot.setData(data)
    else this.#draw(data)
    const latest = lines.reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0)
    const title = this.#figure.querySelector('figcaption').textContent
    this.#place.setAttribute('aria-label', `${title}: now ${this.#scale.text(latest)} in all`)
  }

  /** Highlights one line. Without an argument, none. */
  focus(label) {
    const index = this.#lines.findIndex((line) => line.label === label)
    this.#plot?.setSeries(index < 0 ? null : index + 1, { focus: true })
  }

  #draw(data) {
    this.#plot?.destroy()
    const muted = style('--muted')
    const grid = { stroke: style('--line'), width: 1 }
    const font = `11px ${style('--font')}`
    this.#plot = new UPlot(
      {
        width: this.#place.clientWidth,
        height: HEIGHT,
        padding: [10, 16, 0, 0],
        legend: { show: false },
        focus: { alpha: 0.15 },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { time: false, range: () => [this.#now - this.#past.span, this.#now] },
          y: { range: (_, __, max) => [0, Math.max(this.#scale.least, (max || 0) * 1.12)] },
        },
        axes: [
          {
            stroke: muted,
            font,
            grid: { show: false },
            ticks: { show: false },
            size: 26,
            splits: () => this.#past.ticks.map((seconds) => this.#now - seconds),
            values: () => this.#past.names,
          },
          {
            stroke: muted,
            font,
            grid,
            ticks: { show: false },
            size: this.#scale.width,
            space: 36,
            incrs: WHOLE_STEPS,
            values: (_, splits) => splits.map((value) => this.#scale.axis(value)),
          },
        ],
        series: [{}, ...this.#lines.map(({ label, color, fill }) => lineOf(label, color, fill))],
        hooks: { setCursor: [(plot) => this.#tell(plot)] },
      },
      data,
      this.#place,
    )
  }

  /** Shows the values under the pointer, largest first. */
  #tell(plot) {
    const { data } = plot
    const { idx, left } = plot.cursor
    const place = idx == null ? undefined : plot.valToPos(data[0][idx], 'x')
    this.#tip.hidden = left < 0 || place === undefined || Math.abs(place - left) > NEAR_PX
    if (this.#tip.hidden) return
    const time = document.createElement('time')
    time.textContent = new Date(data[0][idx] * 1000).toLocaleTimeString()
    const points = this.#lines
      .map(({ label, color, values }) => ({ label, color, value: values[idx] }))
      .filter(({ value }) => value != null)
      .sort((a, b) => b.value - a.value)
    const rows = points.slice(0, MOST_IN_TIP).map(({ label, color, value }) => {
      const row = document.createElement('p')
      const key = document.createElement('i')
      key.className = 'key'
      key.style.background = color
      const name = document.createElement('span')
      name.textContent = label
      const figure = document.createElement('b')
      figure.textContent = this.#scale.text(value)
      row.append(key, name, figure)
      return row
    })
    const more = points.length - rows.length
    this.#tip.replaceChildren(time, ...rows, ...(more > 0 ? [`and ${more} more`] : []))
    // Beside the pointer, on the side with more room.
    const edge = this.#place.offsetLeft + plot.over.offsetLeft + place
    const isRight = place > plot.over.clientWidth / 2
    this.#tip.style.left = isRight ? '' : `${edge + 12}px`
    this.#tip.style.right = isRight ? `${this.#figure.clientWidth - edge + 12}px` : ''
  }
}

function lineOf(label, stroke, fill) {
  return { label, stroke, fill: fill && fade(stroke), width: 1.75, points: { show: false }, spanGaps: false }
}

/** A gradient from the full colour at the top to almost transparent. */
function fade(color) {
  return ({ ctx, bbox: { top, height } }) => {
    const gradient = ctx.createLinearGradient(0, top, 0, top + height)
    gradient.addColorStop(0, withAlpha(color, 0.32))
    gradient.addColorStop(1, withAlpha(color, 0.02))
    return gradient
  }
}

function withAlpha(color, alpha) {
  if (color.startsWith('hsl')) return color.replace(')', ` / ${alpha})`)
  return (
    color +
    Math.round(alpha * 255)
      .toString(16)
      .padStart(2, '0')
  )
}

/** Drops trailing zeros of rounded numbers. */
function shortBytes(n) {
  const [number, unit] = bytesParts(n)
  return n === 0 ? '0' : `${Number(number)}\u202f${unit}/s`
}

export class Graphs {
  #rate
  #bytes
  #open
  #history

  constructor(history) {
    const at = (id) => document.getElementById(id)
    this.#history = history
    this.#rate = new Graph(at('graph-rate'), { text: (n) => `${perSecond(n)}/s`, axis: count, least: 2, width: 46 })
    this.#bytes = new Graph(at('graph-bytes'), {
      text: (n) => `${bytes(n)}/s`,
      axis: shortBytes,
      least: 1000,
      width: 64,
    })
    this.#open = new Graph(at('graph-open'), { text: count, axis: count, least: 4, width: 46 })
    dark.addEventListener('change', () => this.show())
  }

  show() {
    const { times, all } = this.#history
    this.#rate.show(
      times,
      this.#each((series) => series.rate),
    )
    this.#open.show(
      times,
      this.#each((series) => series.open),
    )
    this.#bytes.show(times, [
      { label: 'to clients', color: style('--out'), fill: true, values: all.out },
      { label: 'from clients', color: style('--in'), fill: true, values: all.in },
    ])
  }

  focus(id) {
    this.#rate.focus(id)
    this.#open.focus(id)
  }

  #each(read) {
    const { all, backends } = this.#history
    if (backends.size === 0) return [{ label: 'all', color: style('--accent'), fill: true, values: read(all) }]
    const only = backends.size === 1
    return [...backends].map(([id, series]) => ({ label: id, color: colorOf(id), fill: only, values: read(series) }))
  }
}
