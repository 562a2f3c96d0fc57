import type http from 'node:http'
import type { Page } from 'puppeteer-core'
import { expect, type TestContext, test } from 'vitest'
import type { AdminStatus } from '../../../src/cli/admin/controls.ts'
import { History } from '../../../src/cli/admin/history.ts'
import { AdminServer } from '../../../src/cli/admin/server.ts'
import { launch, PageWatch } from '../../helpers/browser.ts'
import { listen } from '../../helpers/net.ts'
import { COUNTERS, NO_SETUP, startAdmin, statusOf, TOKEN } from './support.ts'

/** Opens the page in a new profile. Its clock runs fifty times as fast, so that polls are quick. */
async function open(context: TestContext, url: string) {
  const browser = await launch(context)
  const page = await browser.newPage()
  const watch = new PageWatch(page)
  page.on('dialog', (dialog) => {
    watch.errors.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.evaluateOnNewDocument(() => {
    const { setTimeout } = globalThis
    Object.assign(globalThis, { setTimeout: (call: () => void, ms: number) => setTimeout(call, ms / 50) })
  })
  await page.goto(url)
  return { page, watch }
}

async function texts(page: Page, selector: string): Promise<string[]> {
  return page.$$eval(selector, (elements) => elements.map(({ textContent }) => textContent ?? ''))
}

/** Resolves when one of the elements has the text. Without it, the test times out. */
async function until(page: Page, selector: string, text: string): Promise<void> {
  const elements = `[...document.querySelectorAll(${JSON.stringify(selector)})]`
  await page.waitForFunction(
    `${elements}.some((element) => element.checkVisibility() && element.textContent.includes(${JSON.stringify(text)}))`,
  )
}

/** Clicks the button of the row. */
async function press(page: Page, row: number, button: 'toggle' | 'reset'): Promise<void> {
  await page.click(`#backends tr:nth-child(${row}) [data-part=${button}]`)
}

const EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'

function threeBackends(): AdminStatus[] {
  const now = Date.now()
  return [
    statusOf('web-1', { connections: 12, total: 340, maxConnections: 24, since: now - 3_600_000 }),
    statusOf(EVIL, {
      state: 'down',
      failures: 2,
      retryAt: now + 600_000,
      source: `dns:${EVIL}`,
      lastError: { message: `connect ${EVIL}`, at: now - 90_000 },
    }),
    statusOf('"spare" & co', {
      backup: true,
      draining: true,
      drainingSince: now - 2_000,
      since: now - 240_000,
      weight: 0,
    }),
  ]
}

test('the page shows the current backends as text, and sends no request to another server', async (context) => {
  const { url, balancer } = await startAdmin({}, threeBackends())
  balancer.removed.push(statusOf('gone', { connections: 2 }), statusOf('web-1', { connections: 3 }))
  const { page, watch } = await open(context, url)
  await until(page, '#health', '1 of 3 up')
  expect(await texts(page, '[data-part=id]')).toEqual(['web-1', EVIL, '"spare" & co'])
  expect(await texts(page, '#backends [data-part=state]')).toEqual([
    'up',
    expect.stringMatching(/^down · probe in (10|9)\u202fmin$/),
    'draining',
  ])
  expect(await texts(page, '[data-part=since]')).toEqual([
    expect.stringMatching(/^for 1\u202fh/),
    expect.stringMatching(/^for /),
    expect.stringMatching(/^for \d\d?\u202fs$/),
  ])
  expect(await texts(page, '#summary')).toEqual([
    '1 up · 1 draining · 1 down · 6 requests waiting · 5 connections to removed backends',
  ])
  expect(await texts(page, '[data-part=connections]')).toEqual(['12 / 24', '0', '0'])
  expect(await texts(page, '[data-part=error]')).toEqual(['', `connect ${EVIL}`, ''])
  expect(await texts(page, '[data-part=toggle]')).toEqual(['Drain', 'Drain', 'Bring back'])
  expect(await texts(page, '[data-part=address]')).toEqual([
    '127.0.0.1:3001',
    `127.0.0.1:3001 · dns:${EVIL}`,
    '127.0.0.1:3001 · returning only',
  ])
  expect(await texts(page, '.tile .figure')).toEqual([
    '3',
    expect.stringMatching(/\/s$/),
    expect.stringMatching(/B\/s$/),
    expect.stringMatching(/B\/s$/),
    '7',
  ])
  expect(await texts(page, '#version')).toEqual(['1.2.3'])
  await page.waitForFunction("document.querySelectorAll('figure canvas').length === 3")
  expect(await page.$$('main img, main script')).toHaveLength(0)
  expect(await page.title()).toBe('badass: 1 of 3 up')
  expect(watch.errors).toEqual([])
  expect(watch.outside(new URL(url).origin)).toEqual([])
})

test('an ejected backend is not shown as up, and a slow start is shown', async (context) => {
  const backends = [
    statusOf('sick', { ejectedUntil: Date.now() + 600_000, ejections: 1 }),
    statusOf('new', { weight: 4, effectiveWeight: 1 }),
  ]
  const { url } = await startAdmin({}, backends)
  const { page } = await open(context, url)
  await until(page, '#health', '1 of 2 up')
  expect(await texts(page, '#backends [data-part=state]')).toEqual([
    expect.stringMatching(/^ejected for (10|9)\u202fmin$/),
    'up',
  ])
  expect(await texts(page, '#summary')).toEqual(['1 up · 1 ejected · 6 requests waiting'])
  expect(await texts(page, '[data-part=address]')).toEqual([
    '127.0.0.1:3001',
    '127.0.0.1:3001 · weight 4 · slow start 25 %',
  ])
})

test("a drain by health checks is shown, and the button is that of the operator's own drain", async (context) => {
  const backends = [
    statusOf('own', { draining: true, drainedBy: ['check'], drainingSince: Date.now() }),
    statusOf('both', { draining: true, drainedBy: ['operator', 'check'], drainingSince: Date.now() }),
  ]
  const { url } = await startAdmin({}, backends)
  const { page } = await open(context, url)
  await until(page, '#health', 'no backend takes new clients')
  const state = 'draining by its health check'
  expect(await texts(page, '#backends [data-part=state]')).toEqual([state, state])
  expect(await texts(page, '[data-part=toggle]')).toEqual(['Drain', 'Bring back'])
})

test('the buttons work with the token from the address, which the page hides at once', async (context) => {
  const { url, balancer } = await startAdmin({}, threeBackends())
  const { page, watch } = await open(context, `${url}#token=${encodeURIComponent(TOKEN)}`)
  await until(page, '[data-part=state]', 'up')
  expect(page.url()).toBe(url)
  await press(page, 1, 'toggle')
  await until(page, '#backends tr:nth-child(1) [data-part=state]', 'draining')
  await press(page, 1, 'toggle')
  await until(page, '#backends tr:nth-child(1) [data-part=state]', 'up')
  await press(page, 2, 'toggle')
  await until(page, '#backends tr:nth-child(2) [data-part=since]', ', draining')
  expect(balancer.calls).toEqual(['drain web-1', 'ready web-1', `drain ${EVIL}`])

  await press(page, 1, 'reset')
  await until(page, '#confirm', 'Reset 12 open connections of web-1?')
  await page.keyboard.press('Enter') // Cancel has the focus
  await page.waitForFunction("!document.querySelector('#confirm').open")
  expect(balancer.calls).toHaveLength(3)
  await press(page, 1, 'reset')
  await page.click('#confirm [value=ok]')
  await until(page, '#backends tr:nth-child(1) [data-part=connections]', '0 / 24')
  expect(balancer.calls.at(-1)).toBe('kill web-1')
  // Nothing is left to reset.
  expect(await page.$eval('[data-part=reset]', (button) => button.matches(':disabled'))).toBe(true)

  await page.reload()
  await until(page, '[data-part=state]', 'up')
  await press(page, 3, 'toggle')
  await until(page, '#backends tr:nth-child(3) [data-part=state]', 'up')
  expect(balancer.calls.at(-1)).toBe('ready "spare" & co')
  expect(watch.errors).toEqual([])
})

test('a button asks for a missing token, and reports a wrong one', async (context) => {
  const { url, balancer } = await startAdmin({}, threeBackends())
  const { page, watch } = await open(context, url)
  await until(page, '[data-part=state]', 'up')
  await press(page, 1, 'toggle')
  await page.type('#token', 'guess')
  await page.keyboard.press('Enter')
  await until(page, '#token-error', 'That token is wrong.')
  await page.type('#token', 'no field can carry €')
  await page.keyboard.press('Enter')
  await page.waitForFunction(
    "document.querySelector('#ask-token').open && document.querySelector('#token').value === ''",
  )
  await page.keyboard.press('Escape')
  await page.waitForFunction("!document.querySelector('#ask-token').open")
  expect(balancer.calls).toEqual([])
  await press(page, 1, 'toggle')
  await page.type('#token', TOKEN)
  await page.keyboard.press('Enter')
  await until(page, '#backends tr:nth-child(1) [data-part=state]', 'draining')
  expect(balancer.calls).toEqual(['drain web-1'])
  // Chromium itself logs the answer to the wrong token.
  expect(watch.errors).toEqual([expect.stringContaining('401 (Unauthorized)')])
})

test('the page reports that badass is gone, and continues when it is back', async (context) => {
  const { url, port, server, balancer } = await startAdmin({}, threeBackends())
  const { page, watch } = await open(context, url)
  await until(page, '#health', '1 of 3 up')
  await close(server)
  await until(page, '#health', 'connection lost')
  await until(page, '#lost', 'No connection to badass: it does not answer. Trying again… What you see is from')
  expect(await texts(page, '[data-part=id]')).toHaveLength(3)
  balancer.statuses.shift()
  const again = new AdminServer({
    balancer,
    counters: () => COUNTERS,
    requests: () => [],
    history: () => new History(),
    isDraining: () => true,
    ...NO_SETUP,
    say: () => undefined,
    token: TOKEN,
    version: '2.0.0',
  })
  await listen(again, { port, host: '127.0.0.1' })
  await until(page, '#health', 'draining')
  await until(page, '#draining', 'badass is shutting down')
  expect(await page.$eval('#lost', (banner) => banner.checkVisibility())).toBe(false)
  expect(await texts(page, '#version')).toEqual(['2.0.0'])
  expect(await texts(page, '[data-part=id]')).toEqual([EVIL, '"spare" & co'])
  expect(watch.errors.filter((error) => !error.includes('net::ERR_'))).toEqual([])
})

async function close(server: http.Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

test('a hidden page sends no requests, and continues when it is visible', async (context) => {
  let asked = 0
  const counters = () => {
    asked++
    return COUNTERS
  }
  const { url } = await startAdmin({ counters })
  const { page } = await open(context, url)
  await until(page, '#health', 'all up')
  const show = (hidden: boolean) =>
    page.evaluate(`
      Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    `)
  /** Waits as long as the page takes for this number of polls. */
  const pass = (polls: number) => page.evaluate((ms) => new Promise((done) => setTimeout(done, ms)), polls * 1_000)
  await show(true)
  await pass(5) // a poll may be in progress
  const before = asked
  await pass(30)
  expect(asked).toBe(before)
  await show(false)
  await pass(30)
  expect(asked).toBeGreaterThan(before + 1)
})

test('the page adds and removes backends', async (context) => {
  const { url, balancer } = await startAdmin({}, [])
  const { page, watch } = await open(context, url)
  await until(page, '#empty', 'No backends')
  await until(page, '#health', 'no backends')
  const many = Array.from({ length: 50 }, (_, i) => statusOf(`app-${i}.${'long-name.'.repeat(i % 9)}example:3000`))
  balancer.statuses.push(...many)
  await until(page, '#health', 'all up')
  expect(await texts(page, '[data-part=id]')).toEqual(many.map(({ id }) => id))
  await page.type('#filter', 'APP-4')
  const shown = () => page.$$eval('#backends tr', (rows) => rows.filter((row) => row.checkVisibility()).length)
  expect(await shown()).toBe(11)
  await page.type('#filter', 'zzz')
  await until(page, '#empty', 'None of them matches.')
  balancer.statuses.splice(1, 49)
  await page.waitForFunction("document.querySelectorAll('#backends tr').length === 1")
  expect(await shown()).toBe(1)
  balancer.statuses.unshift(statusOf('first'))
  await until(page, '#backends tr:nth-child(1) [data-part=id]', 'first')
  expect(watch.errors).toEqual([])
})

test('the page is never wider than the window, however narrow it is', async (context) => {
  const { url } = await startAdmin({}, [...threeBackends(), statusOf('x'.repeat(300))])
  const { page } = await open(context, url)
  await until(page, '#health', '2 of 4 up')
  for (const width of [320, 375, 400, 800, 1_000, 1_280, 1_920]) {
    await page.setViewport({ width, height: 900 })
    const wide = await page.evaluate('document.documentElement.scrollWidth')
    expect([width, wide]).toEqual([width, width])
    const overlaps = await page.$$eval('#backends tr', (rows) =>
      rows.map((row) => {
        const [state, connections] = ['state', 'connections'].map((part) => {
          return row.querySelector(`[data-part=${part}]`)!.getBoundingClientRect()
        })
        return Math.max(0, state!.right - connections!.left) > 0 && state!.bottom > connections!.top
      }),
    )
    expect([width, overlaps]).toEqual([width, overlaps.map(() => false)])
  }
})
