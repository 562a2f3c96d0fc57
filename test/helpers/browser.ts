import { existsSync } from 'node:fs'
import puppeteer, { type Browser, type BrowserContext, type LaunchOptions, type Page } from 'puppeteer-core'
import { afterAll, onTestFinished, type TestContext } from 'vitest'

const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/**
 * Starts a headless Chromium with a new profile. It closes after the test.
 * Without Chromium the test is skipped, and fails in CI. `CHROMIUM` names another path.
 */
export async function launch(context: Pick<TestContext, 'skip'>, options: LaunchOptions = {}): Promise<Browser> {
  const browser = await start(pathOf(context), options)
  onTestFinished(() => browser.close())
  return browser
}

/** Shares one Chromium among the tests of a file, each with a profile of its own. Call it outside of tests. */
export function sharedBrowser(): (context: Pick<TestContext, 'skip'>) => Promise<BrowserContext> {
  let started: Promise<Browser> | undefined
  afterAll(async () => {
    await (await started)?.close()
  })
  return async (context) => {
    const path = pathOf(context)
    started ??= start(path)
    const profile = await (await started).createBrowserContext()
    onTestFinished(() => profile.close())
    return profile
  }
}

/** The path of Chromium. Skips the test if there is none, or fails it in CI. */
function pathOf({ skip }: Pick<TestContext, 'skip'>): string {
  const path = CHROMIUM.find((one) => one && existsSync(one))
  if (path) return path
  const note = 'this test needs Chromium, and there is none at /usr/bin/chromium; CHROMIUM=path names another'
  if (process.env.CI) throw new Error(note)
  return skip(note)
}

function start(executablePath: string, options: LaunchOptions = {}): Promise<Browser> {
  return puppeteer.launch({
    executablePath,
    // A container has no user namespaces for the sandbox, a small /dev/shm, and no graphics card.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions'],
    ...options,
  })
}

/** Records the console errors of a page, its uncaught exceptions, and its requests. */
export class PageWatch {
  readonly errors: string[] = []
  /** URLs of requests, in order. */
  readonly requests: string[] = []

  constructor(page: Page) {
    page.on('console', (message) => {
      if (['error', 'warn'].includes(message.type())) this.errors.push(`${message.type()}: ${message.text()}`)
    })
    page.on('pageerror', (error) => this.errors.push(String(error)))
    page.on('request', (request) => this.requests.push(request.url()))
  }

  /** Requests to other origins than these. */
  outside(...origins: string[]): string[] {
    return this.requests.filter((url) => !url.startsWith('data:') && !origins.includes(new URL(url).origin))
  }
}
