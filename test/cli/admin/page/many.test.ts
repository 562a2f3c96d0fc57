import { expect, test } from 'vitest'
import { statusOf } from '../support.ts'
import { NO_HISTORY, open, seen, startPage, texts, until } from './support.ts'

const POOLS = 5
const TOTAL = 1_000
/** Figures in the heading of a pool. */
const FIGURES = 6

/** Counts the changes of the page from now on. */
const COUNT = `
  globalThis.writes = 0
  const observer = new MutationObserver((records) => { writes += records.length })
  observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
`

test('a thousand backends cost no more than what is seen of them', async (context) => {
  const since = Date.now() - 40 * 86_400_000
  const backends = Array.from({ length: TOTAL }, (_, i) => {
    const pool = `pool-${i % POOLS}`
    return statusOf(`${pool}/${i}`, { pool, since, connections: 1 })
  })
  let asked = 0
  const { url, balancer } = await startPage({ '/api/history': NO_HISTORY, '/api/setup': {} }, backends, {
    isDraining: () => ++asked < 0,
  })
  const { page } = await open(context, url)
  await until(page, '#health', 'all up')
  // Pools are closed at first.
  expect(await seen(page, '.group [data-part=count]')).toEqual(Array(POOLS).fill('200'))
  expect(await page.$$('.row')).toHaveLength(0)
  await page.click('.group [data-part=toggle]')
  expect(await page.$$('.row')).toHaveLength(100)
  await page.click('.more button')
  expect(await page.$$('.row')).toHaveLength(200)

  const polls = async (n: number) => {
    const until = asked + n
    while (asked < until) await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)))
  }
  await polls(2)
  await page.evaluate(COUNT)
  await polls(3)
  // The time that badass is up may change, and no row does.
  expect(await page.evaluate('writes')).toBeLessThan(10)

  for (const backend of balancer.statuses) backend.connections = 2
  await until(page, '.row [data-part=open]', '2')
  await polls(1)
  // One of each row in or near the window, and those of the heads.
  expect(await page.evaluate('writes')).toBeLessThan(100 + POOLS * FIGURES)
  expect(await texts(page, '.row:last-child [data-part=open]')).toEqual(['1'])
  await page.$eval('.row:last-child', (row) => row.scrollIntoView())
  await until(page, '.row:last-child [data-part=open]', '2')
  await page.type('#filter', 'pool-2/998')
  await until(page, '#empty', 'None of them matches.')
  await page.$eval('#filter', (input) => Object.assign(input, { value: '' }).dispatchEvent(new Event('input')))
  await page.type('#filter', 'pool-3/ 998')
  expect(await seen(page, '.row [data-part=id]')).toEqual(['pool-3/998'])
})
