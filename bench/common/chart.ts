import * as echarts from 'echarts'
import type { Results } from './results.ts'
import { captionOf, namesOf } from './table.ts'

const COLORS = { badass: '#d9480f', npm: '#adb5bd', native: '#74c0fc' }
const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'
const BAR = 24

/** An SVG with the CPU time of a keep-alive request, a bar for each peer. Undefined without such results. */
export function drawKeepAlive(all: Results): string | undefined {
  const results = all.results.filter(({ workload, cost }) => workload === 'keep-alive' && cost)
  if (results.length === 0) return undefined
  results.sort((a, b) => a.cost!.median - b.cost!.median)
  const height = BAR * results.length
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 800, height: height + 90 })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT },
    title: { text: 'µs of CPU for a keep-alive request (less is better)', subtext: captionOf(all), left: 16, top: 10 },
    grid: { left: 170, top: 70, width: 550, height },
    xAxis: { type: 'value', show: false, min: 0 },
    yAxis: {
      type: 'category',
      inverse: true,
      data: results.map(namesOf(results)),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { interval: 0, color: '#212529' },
    },
    series: {
      type: 'bar',
      silent: true,
      barWidth: BAR - 8,
      data: results.map(({ cost, kind }) => ({ value: cost!.median, itemStyle: { color: COLORS[kind] } })),
      label: { show: true, position: 'right', formatter: ({ value }: { value: unknown }) => Number(value).toFixed(1) },
    },
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  // echarts adds hover styles, and ids that count the charts of the process.
  return svg.replaceAll(/<style.*?<\/style>\n?| class="[^"]*"|\bzr\d+-/gs, '')
}
