import { expect, test } from 'vitest'
import { statusOf } from '../support.ts'
import { open, openRow, seen, series, shortSeries, startPage, texts, timesOf, until } from './support.ts'

const N = 150

/** The history of a pool 'api' of which one backend has been slow for a minute, and of the default pool. */
function historyOf(now = Date.now()) {
  const slow = shortSeries(N)
  slow.firstByteP99 = slow.firstByteP99.map((value, i) => (i < N - 31 ? value : 2))
  const [usual, busy] = [shortSeries(N), shortSeries(N, { failed: 0.5 })]
  const backends = { 'api/1': usual, 'api/2': slow, 'api/3': usual, web: busy }
  const pools = { api: series(N, { ok: 40, p99: 2 }), default: series(N, { ok: 5 }) }
  return { interval: 2_000, times: timesOf(N, now), all: series(N, { ok: 45, failed: 0.5 }), pools, backends }
}

const BACKENDS = ['api/1', 'api/2', 'api/3', 'web'].map((id) => {
  return statusOf(id, { pool: id.startsWith('api/') ? 'api' : 'default' })
})

test('the graphs are full at once, and later ask for what is new only', async (context) => {
  const now = Date.now()
  const history = ({ url = '' }) => {
    if (url.includes('since=0')) return historyOf(now)
    if (!url.includes(`since=${now}`)) return { interval: 2_000, times: [], all: series(0), pools: {}, backends: {} }
    const later = { times: [now + 2_000], all: series(1, { ok: 99 }) }
    return { interval: 2_000, ...later, pools: {}, backends: { web: shortSeries(1, { rate: 90 }) } }
  }
  const { url, asked } = await startPage({ '/api/history': history, '/api/setup': {} }, BACKENDS)
  const { page, watch } = await open(context, url)
  await until(page, '#graphs .legend', '2xx 99/s')
  expect(await seen(page, '#graphs .legend')).toEqual(
    [
      '5xx 0/s2xx 99/s',
      'p99 80 ms' + 'p95 40 ms' + 'p50 20 ms',
      'p99 80 ms' + 'p95 40 ms' + 'p50 20 ms',
      'open 3new per second 2',
      'to clients 20.0 kB/sfrom clients 1.00 kB/s',
    ].map((text) => text.replaceAll(/(\d) (ms|kB)/g, '$1\u202f$2')),
  )
  expect(await page.$eval('#graphs .plot', (plot) => plot.getAttribute('aria-label'))).toMatch(
    /now: 5xx 0\/s, 2xx 99\/s$/,
  )
  await until(page, '.row [data-part=rate]', '31/s')
  const sinces = asked.flatMap((one) => /history\?since=(\d+)/.exec(one)?.[1] ?? [])
  expect(sinces.slice(0, 2)).toEqual(['0', String(now)])
  expect(sinces.at(-1)).not.toBe('0')

  // The keyboard reads an earlier sample.
  await page.focus('#graphs .plot')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await until(page, '#graphs .legend', '2xx 45/s')
  expect((await texts(page, '#graphs time'))[0]).toMatch(/^\d\d:\d\d:\d\d$/)
  expect(watch.errors).toEqual([])
})

test('the page says which backend is slow, since when, and shows it or its pool alone', async (context) => {
  const { url, asked } = await startPage(
    {
      '/api/history': ({ url = '' }) => {
        const whole = historyOf()
        if (!url.includes('backend=')) return whole
        return { interval: 2_000, times: whole.times, backend: series(N, { ok: 7, p99: 2 }) }
      },
      '/api/backends/api%2F2': { id: 'api/2', pool: 'api', checks: [], transitions: [] },
    },
    BACKENDS,
  )
  const { page } = await open(context, url)
  await until(page, '#problems', 'slow')
  expect((await texts(page, '#problems li')).map((text) => text.replaceAll('\u202f', ' '))).toEqual([
    expect.stringMatching(/^slowapi\/2for 1 min, since \d\d:\d\d:\d\d · p99 2\.00 s, its pool 80 ms$/),
  ])
  expect(await texts(page, '.hot [data-part=p99]')).toEqual(['2.00\u202fs'])

  await page.select('#scope', 'pool:api')
  await until(page, '#graphs .legend', '2xx 40/s')
  expect(page.url()).toContain('graphs=pool%3Aapi')
  await page.click('#problems button')
  await page.waitForSelector('.panel[aria-label="Details of api/2"]')
  await until(page, '.panel .legend', '2xx 7.0/s')
  await page.click('.details [data-part=choose]')
  await until(page, '#graphs .legend', '2xx 7.0/s')
  expect(asked.some((one) => one.includes('since=0&backend=api%2F2'))).toBe(true)

  // A reload shows the same, and another backend does not change the graphs.
  await page.reload()
  await until(page, '#graphs .legend', '2xx 7.0/s')
  await page.waitForSelector('.panel[aria-label="Details of api/2"]')
  await openRow(page, 'web')
  await page.click('#scope-all')
  await until(page, '#graphs .legend', '2xx 45/s')
})
