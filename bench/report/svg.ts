import * as echarts from 'echarts'

/** A bar; one that is `isOurs` stands out. */
export interface Bar {
  name: string
  value: number
  isOurs?: boolean
  /** The colour of its kind; a grey where not said. */
  color?: string
}

/** Bars that are measured by the same unit. */
export interface BarPanel {
  title: string
  bars: readonly Bar[]
}

export interface LinePanel {
  title: string
  /** What stands below the points. */
  xName: string
  xs: readonly string[]
  /** Too many points for each to stand out, and lines go on where some are missing. */
  isDense?: boolean
  lines: readonly { name: string; isOurs?: boolean; values: readonly (number | null)[] }[]
}

export interface Heading {
  title: string
  subtitle: string
}

const ACCENT = '#d9480f'
export const GREY = '#adb5bd'
const INK = '#212529'
const FAINT = '#868e96'
const LINES = ['#1971c2', '#2f9e44', '#7048e8', '#0c8599', '#868e96', '#a61e4d']
const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'

const WIDTH = 1000
const HEAD = 70
const PANEL = 492
/** Of a character, more or less. */
const CHARACTER = 7
const BAR = 19

/** The same input gives the same bytes, whatever was drawn before. */
function render(height: number, option: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: FONT }, ...option })
    return `${withoutHover(chart.renderToSVGString())}\n`
  } finally {
    chart.dispose()
  }
}

/** Takes out what a picture has no use for, and what echarts numbers by all that the process has drawn. */
function withoutHover(svg: string): string {
  return svg
    .replaceAll(/<style.*?<\/style>\n?/gs, '')
    .replaceAll(/ class="[^"]*"/g, '')
    .replaceAll(/\bzr\d+-/g, '')
}

function heading({ title, subtitle }: Heading): echarts.TitleComponentOption {
  return {
    text: title,
    subtext: subtitle,
    left: 16,
    top: 10,
    textStyle: { fontSize: 18, color: INK },
    subtextStyle: { fontSize: 12, color: FAINT },
  }
}

function panelTitle(text: string, left: number, top: number): echarts.TitleComponentOption {
  return { text, left, top, textStyle: { fontSize: 13, color: INK } }
}

/** Panels of horizontal bars, two beside each other; each has a scale of its own that begins at 0. */
export function drawBars(head: Heading, panels: readonly BarPanel[]): string {
  const longest = Math.max(0, ...panels.flatMap(({ bars }) => bars.map(({ name }) => name.length)))
  const names = longest * CHARACTER + 20
  const places: { left: number; top: number; height: number }[] = []
  let top = HEAD
  for (let i = 0; i < panels.length; i += 2) {
    const height = BAR * Math.max(...panels.slice(i, i + 2).map(({ bars }) => bars.length))
    for (let j = i; j < Math.min(i + 2, panels.length); j++) {
      const bars = panels[j]!.bars.length
      places.push({ left: 16 + (j - i) * PANEL, top: top + 28, height: BAR * bars })
    }
    top += height + 52
  }
  return render(top, {
    title: [heading(head), ...panels.map(({ title }, i) => panelTitle(title, places[i]!.left, places[i]!.top - 26))],
    grid: places.map(({ left, top, height }) => ({ left: left + names, top, width: PANEL - names - 80, height })),
    xAxis: panels.map((_, i) => ({ type: 'value', gridIndex: i, show: false, min: 0 })),
    yAxis: panels.map(({ bars }, i) => ({
      type: 'category',
      gridIndex: i,
      inverse: true,
      data: bars.map(({ name, isOurs }) => ({
        value: name,
        textStyle: isOurs ? { color: ACCENT, fontWeight: 'bold' } : { color: INK },
      })),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { interval: 0, fontSize: 12 },
    })),
    series: panels.map(({ bars }, i) => ({
      type: 'bar',
      silent: true,
      xAxisIndex: i,
      yAxisIndex: i,
      barWidth: BAR - 6,
      data: bars.map(({ value, isOurs, color }) => ({
        value,
        itemStyle: { color: isOurs ? ACCENT : (color ?? GREY) },
        label: { fontWeight: isOurs ? 'bold' : 'normal' },
      })),
      label: { show: true, position: 'right', color: INK, formatter: ({ value }) => shorten(Number(value)) },
    })),
  })
}

/** Panels of lines beside each other; each has a scale of its own that begins at 0. */
export function drawLines(head: Heading, panels: readonly LinePanel[]): string {
  const height = 440
  const step = (WIDTH - 32) / panels.length
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))]
  const others = names.filter((name) => panels.every(({ lines }) => !lines.find((l) => l.name === name)?.isOurs))
  return render(height, {
    title: [heading(head), ...panels.map(({ title }, i) => panelTitle(title, 16 + i * step, HEAD))],
    legend: { data: names, bottom: 12, left: 16, itemGap: 30, selectedMode: false, textStyle: { color: INK } },
    grid: panels.map((_, i) => ({ left: 60 + i * step, top: HEAD + 40, width: step - 90, height: 230 })),
    xAxis: panels.map(({ xs, xName }, i) => ({
      type: 'category',
      gridIndex: i,
      data: [...xs],
      name: xName,
      nameLocation: 'middle',
      nameGap: 26,
      boundaryGap: false,
      axisLabel: { color: INK },
      nameTextStyle: { color: FAINT },
    })),
    yAxis: panels.map((_, i) => ({ type: 'value', gridIndex: i, min: 0, axisLabel: { color: INK } })),
    series: panels.flatMap(({ lines, isDense = false }, i) =>
      lines.map(({ name, values, isOurs }) => {
        const color = isOurs ? ACCENT : LINES[others.indexOf(name) % LINES.length]!
        return {
          type: 'line' as const,
          silent: true,
          name,
          xAxisIndex: i,
          yAxisIndex: i,
          data: [...values],
          symbolSize: 6,
          showSymbol: !isDense,
          connectNulls: isDense,
          itemStyle: { color },
          lineStyle: { color, width: isOurs ? 3.5 : 1.5 },
          z: isOurs ? 5 : 2,
        }
      }),
    ),
  })
}

function shorten(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
