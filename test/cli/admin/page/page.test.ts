import type http from 'node:http'
import { expect, test } from 'vitest'
import type { AdminStatus } from '../../../../src/cli/admin/controls.ts'
import { History } from '../../../../src/cli/admin/history.ts'
import { AdminServer } from '../../../../src/cli/admin/server.ts'
import { listen } from '../../../helpers/net.ts'
import { COUNTERS, NO_SETUP, startAdmin, statusOf, TOKEN } from '../support.ts'
import { open, openRow, seen, texts, until } from './support.ts'

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
      configuredWeight: 0,
    }),
  ]
}

test('the page shows the current backends as text, and sends no request to another server', async (context) => {
  const { url, balancer } = await startAdmin({}, threeBackends())
  balancer.removed.push(statusOf('gone', { connections: 2 }), statusOf('web-1', { connections: 3 }))
  const { page, watch } = await open(context, url)
  await until(page, '#health', '1 of 3 up')
  expect(await texts(page, '[data-part=id]')).toEqual(['web-1', EVIL, '"spare" & co'])
  expect(await texts(page, '.row [data-part=state]')).toEqual(['up', 'down', 'draining'])
  expect(await texts(page, '[data-part=since]')).toEqual([
    expect.stringMatching(/^1\u202fh/),
    expect.stringMatching(/, probe in (10|9)\u202fmin$/),
    expect.stringMatching(/^\d\d?\u202fs$/),
  ])
  expect(await seen(page, '#states button')).toEqual(['3 all', '1 up', '1 draining', '1 down'])
  expect(await texts(page, '#total-now dd')).toEqual(['6 requests waiting · 5 connections to removed backends'])
  expect(await texts(page, '#total-failures dd')).toEqual([
    '1 failed connect · 2 bad heads · 4 without a backend · 4 failed TLS handshakes',
  ])
  expect(await texts(page, '[data-part=open]')).toEqual(['12 / 24', '0', '0'])
  expect(await texts(page, '[data-part=error]')).toEqual(['', `connect ${EVIL}`, ''])
  expect(await texts(page, '[data-part=notes]')).toEqual(['', '', 'backup · returning only'])
  expect(await texts(page, '#version')).toEqual(['1.2.3'])
  await page.waitForFunction("document.querySelectorAll('figure canvas').length === 5")
  expect(await page.$$('main img, main script')).toHaveLength(0)
  expect(await page.title()).toBe('badass: 1 of 3 up')
  expect(watch.errors).toEqual([])
  await openRow(page, EVIL)
  expect((await texts(page, '.details dd')).slice(0, 2)).toEqual(['127.0.0.1:3001', `dns:${EVIL}`])
  expect(await page.$$('main img, main script')).toHaveLength(0)
  expect(watch.outside(new URL(url).origin)).toEqual([])
})

test('an ejected backend is not shown as up, and a slow start is shown', async (context) => {
  const backends = [
    statusOf('sick', { ejectedUntil: Date.now() + 600_000, ejections: 1 }),
    statusOf('new', { weight: 4, configuredWeight: 4, effectiveWeight: 1 }),
  ]
  const { url } = await startAdmin({}, backends)
  const { page } = await open(context, url)
  await until(page, '#health', '1 of 2 up')
  expect(await texts(page, '.row [data-part=state]')).toEqual(['ejected', 'up'])
  expect(await texts(page, '[data-part=since]')).toEqual([
    expect.stringMatching(/^for (10|9)\u202fmin$/),
    expect.any(String),
  ])
  expect(await seen(page, '#states button')).toEqual(['2 all', '1 up', '1 ejected'])
  expect(await texts(page, '[data-part=notes]')).toEqual(['', 'slow start 25 %'])
  expect(await texts(page, '[data-part=weight]')).toEqual(['1', '4'])
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
  expect(await texts(page, '.row [data-part=state]')).toEqual([state, state])
  await openRow(page, 'own')
  expect(await texts(page, '.details [data-part=toggle]')).toEqual(['Drain'])
  await openRow(page, 'both')
  expect(await texts(page, '.details [data-part=toggle]')).toEqual(['Bring back'])
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
    ...NO_SETUP,
    requests: () => [],
    history: () => new History(),
    isDraining: () => true,
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
  const pass = (polls: number) =>
    page.evaluate(async (polls) => {
      for (let i = 0; i < polls; i++) await new Promise((done) => setTimeout(done, 1_000))
    }, polls)
  await show(true)
  // A poll may be in progress.
  let before: number
  do {
    before = asked
    await pass(30)
  } while (asked !== before)
  await show(false)
  await expect.poll(() => asked).toBeGreaterThan(before + 1)
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
  const shown = async () => (await seen(page, '.row')).length
  expect(await shown()).toBe(11)
  await page.type('#filter', 'zzz')
  await until(page, '#empty', 'None of them matches.')
  await page.$eval('#filter', (input) => Object.assign(input, { value: '' }).dispatchEvent(new Event('input')))
  balancer.statuses.splice(1, 49)
  await page.waitForFunction("document.querySelectorAll('.row').length === 1")
  expect(await shown()).toBe(1)
  balancer.statuses.unshift(statusOf('first'))
  await until(page, '.row:nth-child(1) [data-part=id]', 'first')
  expect(watch.errors).toEqual([])
})
