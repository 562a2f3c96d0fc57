import type { Page } from 'puppeteer-core'
import { expect, test } from 'vitest'
import { statusOf } from '../support.ts'
import { gone, open, openRow, seen, series, shortSeries, startPage, texts, timesOf, until } from './support.ts'

const LATENCIES: Record<string, number | null> = {
  'web-2': 0.05,
  'web-10': 0.4,
  'web-1': null,
  'api/1': 0.1,
  'api/2': 0.3,
}

function sixBackends() {
  const now = Date.now()
  return [
    statusOf('web-2', { connections: 5 }),
    statusOf('web-10', { draining: true, drainingSince: now }),
    statusOf('web-1', { state: 'down', since: now, lastError: { message: 'ECONNREFUSED', at: now } }),
    statusOf('api/1', { pool: 'api', connections: 9, weight: 3, effectiveWeight: 3 }),
    statusOf('api/2', { pool: 'api', source: 'dns:api.internal:80' }),
  ]
}

function history() {
  const backends = Object.fromEntries(
    Object.entries(LATENCIES).map(([id, p99], i) => [id, shortSeries(3, { p99, rate: 10 - i })]),
  )
  return { interval: 2_000, times: timesOf(3), all: series(3), pools: {}, backends }
}

const order = (page: Page) => seen(page, '.row [data-part=id]')

test('the table is grouped by pool, sorted by any column, and filtered', async (context) => {
  const { url } = await startPage({ '/api/history': history, '/api/setup': {} }, sixBackends())
  const { page, watch } = await open(context, url)
  await until(page, '.row [data-part=p99]', '400')
  expect(await seen(page, '.group [data-part=name]')).toEqual(['default', 'api'])
  expect(await seen(page, '.group [data-part=state]')).toEqual(['1 down, 1 draining', 'all up'])
  expect(await seen(page, '.group [data-part=open]')).toEqual(['5', '9'])
  expect(await order(page)).toEqual(['web-2', 'web-10', 'web-1', 'api/1', 'api/2'])
  const sort = async (column: string) => {
    await page.click(`[data-sort=${column}] button`)
    return [await page.$eval(`[data-sort=${column}]`, (head) => head.getAttribute('aria-sort')), ...(await order(page))]
  }
  expect(await sort('id')).toEqual(['ascending', 'web-1', 'web-2', 'web-10', 'api/1', 'api/2'])
  expect(await sort('p99')).toEqual(['descending', 'web-10', 'web-2', 'web-1', 'api/2', 'api/1'])
  expect(await sort('p99')).toEqual(['ascending', 'web-2', 'web-10', 'web-1', 'api/1', 'api/2'])
  await page.click('#grouped')
  expect(await order(page)).toEqual(['web-2', 'api/1', 'api/2', 'web-10', 'web-1'])
  expect(await sort('state')).toEqual(['ascending', 'web-1', 'web-10', 'web-2', 'api/1', 'api/2'])
  expect(await page.$$('[aria-sort]')).toHaveLength(1)

  await page.type('#filter', 'DNS: api')
  expect(await order(page)).toEqual(['api/2'])
  await page.reload()
  await until(page, '.row [data-part=id]', 'api/2')
  expect(await order(page)).toEqual(['api/2'])
  await page.$eval('#filter', (input) => Object.assign(input, { value: '' }).dispatchEvent(new Event('input')))
  await page.click('#states [data-state=down]')
  expect(await order(page)).toEqual(['web-1'])
  await page.click('#states [data-state=""]')
  await page.click('#grouped')
  await page.click('.group [data-part=toggle]')
  expect(await order(page)).toEqual(['api/1', 'api/2'])
  expect(await page.$eval('.group [data-part=toggle]', (button) => button.getAttribute('aria-expanded'))).toBe('false')
  expect(watch.errors).toEqual([])
})

test('rows stay in place under the pointer', async (context) => {
  const { url, balancer } = await startPage({ '/api/history': history }, sixBackends())
  const { page } = await open(context, `${url}#sort=open.down&flat=1`)
  await until(page, '.row', 'web-2')
  expect((await order(page)).slice(0, 2)).toEqual(['api/1', 'web-2'])
  await page.hover('.row')
  balancer.statuses[0]!.connections = 100
  await until(page, '.row [data-part=open]', '100')
  expect((await order(page)).slice(0, 2)).toEqual(['api/1', 'web-2'])
  await page.hover('h1')
  await page.waitForFunction("document.querySelector('.row [data-part=id]').textContent === 'web-2'")
})

test('a row opens into what happened to the backend', async (context) => {
  const now = Date.now()
  const checks = [
    { at: now - 2_000, duration: 1.5, passed: false, error: 'connect ECONNREFUSED <b>', worker: 2 },
    { at: now - 4_000, duration: 1_200, passed: true, status: 200 },
  ]
  const transitions = [
    { at: now - 185_000, to: 'down', cause: 'ECONNREFUSED' },
    { at: now - 361_000, to: 'weight', cause: '1 to 3' },
  ]
  const { url } = await startPage(
    { '/api/history': history, '/api/backends/web-1': { id: 'web-1', pool: 'default', checks, transitions } },
    sixBackends(),
  )
  const { page } = await open(context, url)
  await openRow(page, 'web-1')
  await until(page, '.details', 'passed in 1.20')
  const lines = async (part: string) =>
    (await texts(page, `[data-part=${part}] li`)).map((text) => text.replaceAll('\u202f', ' '))
  expect(await lines('transitions')).toEqual(['3 min agodown: ECONNREFUSED', '6 min agoweight changed: 1 to 3'])
  expect(await lines('checks')).toEqual([
    expect.stringMatching(/^\d+ s agofailed in 1\.5 ms · connect ECONNREFUSED <b> · worker 2$/),
    expect.stringMatching(/^\d+ s agopassed in 1\.20 s · 200$/),
  ])
  const opener = () =>
    page.$eval('.row:has(+ .details) [data-part=toggle]', (button) => ({
      expanded: button.getAttribute('aria-expanded'),
      controls: button.getAttribute('aria-controls'),
    }))
  expect(await opener()).toEqual({ expanded: 'true', controls: 'details' })

  // With the keyboard: Escape closes it and returns to its row, where Enter opens it again.
  await page.focus('.details [data-part=toggle]')
  await page.keyboard.press('Escape')
  await gone(page, '.details')
  expect(await page.evaluate('document.activeElement.textContent')).toBe('web-1')
  await page.keyboard.press('Enter')
  await page.waitForSelector('.details')
  await openRow(page, 'api/1')
  await until(page, '.details dd', '3 · config: 1')
  expect(await page.$$('.details')).toHaveLength(1)
})

test('the page is never wider than the window, however narrow it is', async (context) => {
  const backends = [...sixBackends(), statusOf('x'.repeat(300), { lastError: { message: 'y'.repeat(300), at: 1 } })]
  const { url } = await startPage({ '/api/history': history }, backends)
  const { page } = await open(context, url)
  await openRow(page, 'x'.repeat(300))
  for (const width of [320, 375, 400, 800, 1_000, 1_280, 1_920]) {
    await page.setViewport({ width, height: 900 })
    const wide = await page.evaluate('document.documentElement.scrollWidth')
    expect([width, wide]).toEqual([width, width])
    const overlaps = await page.$$eval('.row', (rows) =>
      rows.map((row) => {
        const [state, open] = ['state', 'open'].map((part) => {
          return row.querySelector(`[data-part=${part}]`)!.getBoundingClientRect()
        })
        return Math.max(0, state!.right - open!.left) > 0 && state!.bottom > open!.top
      }),
    )
    expect([width, overlaps]).toEqual([width, overlaps.map(() => false)])
  }
})
