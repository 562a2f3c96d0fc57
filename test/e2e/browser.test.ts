import http from 'node:http'
import type { Browser, BrowserContext, CDPSession, Page, Protocol } from 'puppeteer-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DemoBackend } from '../../examples/demo/backend.js'
import { createStickyServer } from '../../src/sticky/index.ts'
import { ADMIN, startService } from '../cli/service/support.ts'
import { launch, PageWatch } from '../helpers/browser.ts'
import { listen } from '../helpers/net.ts'

const PAST = 'Thu, 01 Jan 1970 00:00:00 GMT'
const FUTURE = 'Fri, 31 Dec 2100 23:59:59 GMT'

describe('two profiles of a browser', () => {
  test('keep their backends and application cookies over reloads and for WebSockets', async (context) => {
    const { one, other } = await startVisits(context)
    for (const visitor of [one, other]) await visitor.expectCookies()
    const homes = [one.home, other.home]
    expect(homes[0]).not.toBe(homes[1])
    for (let visits = 1; visits <= 3; visits++) {
      for (const visitor of [one, other]) {
        const cookies = visits === 1 ? 'none yet' : `session=${visitor.session}`
        expect(visitor.facts).toEqual([visitor.session, String(visits), cookies])
        await visitor.reload()
      }
    }
    expect([one.home, other.home]).toEqual(homes)
    for (const visitor of [one, other]) {
      await visitor.expectCookies()
      expect(await visitor.say('hello')).toBe(`${visitor.home}: hello`)
      expect(visitor.watch.errors).toEqual([])
    }
  })

  test('get another backend and another session after their cookies are deleted', async (context) => {
    const { one, other } = await startVisits(context)
    const [home, session] = [one.home, one.session]
    await one.forget()
    // The third backend of three, by round robin.
    expect([home, other.home]).not.toContain(one.home)
    expect(one.session).not.toBe(session)
    expect(one.facts).toEqual([one.session, '1', 'none yet'])
    await one.expectCookies()
    const forgetting = one.responses.find((lines) => lines.some((line) => line.startsWith('session=;')))
    expect(forgetting).toEqual([
      'session=; Path=/; HttpOnly; Max-Age=0',
      expect.stringMatching(/^sticky=[\w.-]+; Path=\/; HttpOnly; Max-Age=0$/),
    ])
    await one.reload()
    expect(one.facts[1]).toBe('2')
  })

  test('move to another backend without an error when theirs is gone', async (context) => {
    const { one, other, backends } = await startVisits(context)
    const [home, staying] = [one.home, other.home]
    await one.socketIs('open')
    backends.find(({ id }) => id === home)!.crash(600_000)
    await one.socketIs('closed')
    await one.reload()
    const moved = one.home
    expect(moved).not.toBe(home)
    await one.expectCookies()
    expect(one.facts[1]).toBe('1')
    for (const visitor of [one, other]) await visitor.reload()
    expect([one.home, one.facts[1], other.home, other.facts[1]]).toEqual([moved, '2', staying, '2'])
    expect(await one.say('still here')).toBe(`${moved}: still here`)
    expect([one.watch.errors, other.watch.errors]).toEqual([[], []])
  })
})

test('the admin page shows each visitor at its backend, and a drain only turns away new visitors', async (context) => {
  const { service, browser, one, other } = await startVisits(context)
  for (const visitor of [one, other]) await visitor.socketIs('open')
  const page = await browser.newPage()
  const watch = new PageWatch(page)
  await page.goto(service.adminUrl!)
  // Each visitor has a WebSocket open.
  for (const { home } of [one, other]) await rowSays(page, home, 'open', '1')
  const row = `.row:nth-child(${IDS.indexOf(one.home) + 1})`
  await page.click(`${row} [data-part=toggle]`)
  await page.click('.details [data-part=toggle]')
  await page.click('#confirm-ok')
  await rowSays(page, one.home, 'state', 'draining')
  const home = one.home
  await one.reload()
  expect([one.home, one.facts[1]]).toEqual([home, '2'])
  for (let i = 0; i < 3; i++) {
    await one.forget()
    expect(one.home).not.toBe(home)
  }
  expect(watch.errors).toEqual([])
  expect(watch.outside(new URL(service.adminUrl!).origin)).toEqual([])
})

test('a browser treats both cookies the same, for every scope', async (context) => {
  let cookie = ''
  const backend = http.createServer((request, response) => {
    if (request.url === '/app/page') response.setHeader('Set-Cookie', cookie)
    response.setHeader('Connection', 'close').end()
  })
  const dest = { port: await listen(backend), host: '127.0.0.1', sticky: 'home' }
  const port = await listen(createStickyServer(() => dest))
  const browser = await launch(context)
  const page = await browser.newPage()
  const cdp = await page.createCDPSession()
  await page.goto(`http://app.localhost:${port}/app/`)
  const visit = async (setCookie: string) => {
    cookie = setCookie
    await page.evaluate("fetch('page')")
    return (await cdp.send('Network.getAllCookies')).cookies
  }

  const kept: Record<string, boolean> = {}
  for (const scope of Object.keys(SCOPES)) {
    const cookies = await visit(`sid=1${scope}`)
    const [theirs, ours] = ['sid', 'sticky'].map((name) => cookies.find((cookie) => cookie.name === name))
    expect(cookies.length, scope).toBe(theirs ? 2 : 0)
    if (theirs) expectSameScope(ours!, theirs)
    kept[scope] = theirs !== undefined
    // Stored cookies are deleted together too.
    expect(await visit(`sid=${scope}; Max-Age=0`), scope).toEqual([])
    await cdp.send('Network.clearBrowserCookies')
  }
  expect(kept).toEqual(SCOPES)
})

/** Whether the browser stores a cookie of http://app.localhost/app/page, an origin that counts as secure. */
const SCOPES: Record<string, boolean> = {
  '': true,
  ';': true,
  '; Path=/': true,
  '; Path=/app': true,
  '; Path=app; HttpOnly': true,
  '; Path="/app"': true,
  '; Domain=app.localhost': true,
  '; Domain=.APP.localhost; path = /app ;;secure': true,
  '; Domain=other.localhost': false,
  '; Domain=localhost': false,
  '; Domain=deep.app.localhost': false,
  '; Domain=': true,
  '; Secure': true,
  '; HttpOnly': true,
  '; SameSite=Strict': true,
  '; SameSite=None': false,
  '; SameSite=None; Secure': true,
  '; SameSite=None; Secure; Partitioned; Path=/': true,
  '; Partitioned': false,
  '; SameSite=Often': true,
  '; Max-Age=60': true,
  '; Max-Age=1h': true,
  [`; Max-Age=60; Expires=${PAST}`]: true,
  [`; Expires=${FUTURE}`]: true,
  '; Expires=Fri, 31-Dec-2100 23:59:59 GMT': true,
  [`; Expires=${PAST}`]: false,
  '; Expires=tomorrow': true,
  '; Priority=High; =; ==x': true,
  [`; X=${'x'.repeat(1100)}; Path=/app`]: true,
  '\xe9; Path=/\xe9': true,
}

function expectSameScope(ours: Protocol.Network.Cookie, theirs: Protocol.Network.Cookie): void {
  const scopeOf = ({ name, value, size, expires, ...scope }: Protocol.Network.Cookie) => scope
  expect(scopeOf(ours)).toEqual(scopeOf(theirs))
  // Max-Age counts from the moment the browser read the cookie.
  expect(ours.expires).toBeCloseTo(theirs.expires, 0)
}

const IDS = ['crimson', 'emerald', 'sapphire']

/** Resolves as soon as the row of a backend shows this text. */
async function rowSays(page: Page, id: string, part: string, text: string): Promise<void> {
  const cell = `document.querySelector('#backends tr:nth-child(${IDS.indexOf(id) + 1}) [data-part=${part}]')`
  await page.waitForFunction(`${cell}?.textContent === ${JSON.stringify(text)}`)
}

/** The three backends of the demo behind a sticky service, and two visitors with separate profiles. */
async function startVisits(context: Parameters<typeof launch>[0]) {
  const backends = IDS.map((id) => new DemoBackend(id, 'gray'))
  await Promise.all(backends.map((backend) => backend.listen()))
  onTestFinished(() => {
    for (const backend of backends) backend.close()
  })
  const { service } = await startService({
    backends: backends.map(({ id, port }) => ({ id, port })),
    sticky: { name: 'sticky', insert: false, indirect: true },
    secret: ['a secret'],
    requests: 'every',
    admin: ADMIN,
  })
  const [url] = service.addresses
  const browser = await launch(context)
  const one = await Visitor.come(browser, url!)
  return { service, browser, backends, one, other: await Visitor.come(browser, url!) }
}

/** A browser profile with the demo page open. */
class Visitor {
  readonly page: Page
  readonly watch: PageWatch
  /** The Set-Cookie values of each response, unchanged. */
  readonly responses: string[][] = []
  home = ''
  /** The session of the application, the visit count, and the cookies that the application sees. */
  facts: string[] = []
  readonly #cdp: CDPSession

  static async come(browser: Browser, url: string): Promise<Visitor> {
    const profile: BrowserContext = await browser.createBrowserContext()
    const page = await profile.newPage()
    const visitor = new Visitor(page, await page.createCDPSession())
    await visitor.#cdp.send('Network.enable')
    await page.goto(url)
    await visitor.#look()
    return visitor
  }

  private constructor(page: Page, cdp: CDPSession) {
    this.page = page
    this.watch = new PageWatch(page)
    this.#cdp = cdp
    cdp.on('Network.responseReceivedExtraInfo', ({ headersText = '', blockedCookies }) => {
      expect(blockedCookies).toEqual([])
      this.responses.push([...headersText.matchAll(/^set-cookie: *(.*?)\r?$/gim)].map(([, value]) => value!))
    })
  }

  get session(): string {
    return this.facts[0]!
  }

  /** The Set-Cookie values of the last response that had any. */
  get setCookies(): string[] {
    return this.responses.findLast((lines) => lines.length > 0)!
  }

  /** The session cookie from the backend, and the sticky cookie with the same scope. */
  async expectCookies(): Promise<void> {
    expect(this.setCookies).toEqual([
      `session=${this.session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400`,
      expect.stringMatching(/^sticky=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=86400$/),
    ])
    const { cookies } = await this.#cdp.send('Network.getCookies')
    const [session, sticky] = cookies.sort((a, b) => a.name.localeCompare(b.name))
    expect(session).toMatchObject({ name: 'session', value: this.session, path: '/', httpOnly: true, sameSite: 'Lax' })
    expect(session!.session).toBe(false)
    expect(sticky!.name).toBe('sticky')
    expectSameScope(sticky!, session!)
  }

  async reload(): Promise<void> {
    await this.page.reload()
    await this.#look()
  }

  async forget(): Promise<void> {
    await Promise.all([this.page.waitForNavigation(), this.page.click('button ::-p-text(Forget me)')])
    await this.#look()
  }

  async socketIs(status: string): Promise<void> {
    await this.page.waitForSelector(`#status ::-p-text(${status})`)
  }

  /** Sends a message on the page's WebSocket and returns its echo. */
  async say(text: string): Promise<string> {
    await this.socketIs('open')
    await this.page.$eval('#text', (input, text) => Object.assign(input, { value: text }), text)
    await this.page.click('form button')
    const echo = await this.page.waitForSelector(`#log li ::-p-text(${text})`)
    return await echo!.evaluate((line) => String(line.textContent))
  }

  async #look(): Promise<void> {
    this.home = await this.page.$eval('#backend', (element) => String(element.textContent))
    this.facts = await this.page.$$eval('dd', (all) => all.map((element) => String(element.textContent)))
  }
}
