import http from 'node:http'
import type { Page } from 'puppeteer-core'
import type { TestContext } from 'vitest'
import type { AdminStatus } from '../../../../src/cli/admin/controls.ts'
import type { AdminOptions } from '../../../../src/cli/admin/server.ts'
import { PageWatch, sharedBrowser } from '../../../helpers/browser.ts'
import { listen } from '../../../helpers/net.ts'
import { startAdmin, statusOf } from '../support.ts'

const newProfile = sharedBrowser()

/** Answers of some paths, in place of the server's own: a body, or a function that makes one of the request. */
export type Answers = Record<string, object | ((request: http.IncomingMessage) => object | number)>

/** An admin server, of which some paths answer as they are told to. */
export async function startPage(
  answers: Answers = {},
  backends: AdminStatus[] = [statusOf('web-1')],
  options: Partial<AdminOptions> = {},
) {
  const admin = await startAdmin(options, backends)
  /** Method and URL of each request to the API, in order. */
  const asked: string[] = []
  const front = http.createServer((request, response) => {
    const { method, url = '' } = request
    if (url.startsWith('/api/')) asked.push(`${method} ${url}`)
    const answer = answers[url.replace(/\?.*/, '')]
    if (answer === undefined) return admin.server.emit('request', request, response)
    const body = typeof answer === 'function' ? answer(request) : answer
    const [status, text] = typeof body === 'number' ? [body, { error: `answer ${body}` }] : [200, body]
    return response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(text))
  })
  return { ...admin, asked, url: `http://127.0.0.1:${await listen(front)}/` }
}

/** Opens the page in a new profile. Its clock runs fifty times as fast, so that polls are quick; messages stay. */
export async function open(context: Pick<TestContext, 'skip'>, url: string) {
  const profile = await newProfile(context)
  const page = await profile.newPage()
  const watch = new PageWatch(page)
  await page.setViewport({ width: 1_440, height: 900 })
  page.on('dialog', (dialog) => {
    watch.errors.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.evaluateOnNewDocument(() => {
    const { setTimeout } = globalThis
    const faster = (call: () => void, ms: number) => setTimeout(call, ms > 5_000 ? ms : ms / 50)
    Object.assign(globalThis, { setTimeout: faster })
  })
  await page.goto(url)
  return { page, watch }
}

export async function texts(page: Page, selector: string): Promise<string[]> {
  return page.$$eval(selector, (elements) => elements.map(({ textContent }) => textContent ?? ''))
}

/** The texts of those that are seen. */
export async function seen(page: Page, selector: string): Promise<string[]> {
  return page.$$eval(selector, (elements) =>
    elements.filter((element) => element.checkVisibility()).map(({ textContent }) => textContent ?? ''),
  )
}

/** Resolves when one of the elements has the text. Without it, the test times out. */
export async function until(page: Page, selector: string, text: string): Promise<void> {
  const elements = `[...document.querySelectorAll(${JSON.stringify(selector)})]`
  await page.waitForFunction(
    `${elements}.some((element) => element.checkVisibility() && element.textContent.includes(${JSON.stringify(text)}))`,
  )
}

/** Resolves when none of the elements is seen. */
export async function gone(page: Page, selector: string): Promise<void> {
  const elements = `[...document.querySelectorAll(${JSON.stringify(selector)})]`
  await page.waitForFunction(`!${elements}.some((element) => element.checkVisibility())`)
}

/** Opens the details of a backend by a click on its name. */
export async function openRow(page: Page, id: string): Promise<void> {
  await until(page, '[data-part=id]', id)
  await page.$$eval(
    '.row [data-part=toggle]',
    (buttons, id) => (buttons.find(({ textContent }) => textContent === id) as { click(): void } | undefined)?.click(),
    id,
  )
  await page.waitForSelector(`.panel[aria-label=${JSON.stringify(`Details of ${id}`)}]`)
}

/** Clicks a button of the open details. */
export async function press(page: Page, button: 'toggle' | 'reset' | 'reweigh'): Promise<void> {
  await page.click(`.details [data-part=${button}]`)
}

type Percentiles = Record<'p50' | 'p95' | 'p99', (number | null)[]>

/** The full series of something with `n` samples: each of `values` in all of them. */
export function series(n: number, { open = 3, rate = 2, ok = 10, failed = 0, p99 = 0.08 as number | null } = {}) {
  const all = (value: number | null) => Array<number | null>(n).fill(value)
  const part = (share: number) => all(p99 === null ? null : p99 * share)
  const percentiles = (): Percentiles => ({ p50: part(0.25), p95: part(0.5), p99: part(1) })
  const codes = { '1xx': all(0), '2xx': all(ok), '3xx': all(0), '4xx': all(0), '5xx': all(failed), none: all(0) }
  const figures = { open: all(open), rate: all(rate), in: all(1_000), out: all(20_000) }
  return { ...figures, codes, firstByte: percentiles(), duration: percentiles() }
}

/** The short series of a backend. */
export function shortSeries(n: number, about: Parameters<typeof series>[1] = {}) {
  const { open, rate, in: read, out, codes, firstByte } = series(n, about)
  return { open, rate, in: read, out, errors: codes['5xx'], firstByteP99: firstByte.p99 }
}

/** Times of `n` samples, the last one now. */
export function timesOf(n: number, now = Date.now()): number[] {
  return Array.from({ length: n }, (_, i) => now - (n - 1 - i) * 2_000)
}

/** The history of a service that has just started. */
export const NO_HISTORY = { interval: 2_000, times: [], all: series(0), pools: {}, backends: {} }
