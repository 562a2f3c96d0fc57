import fc from 'fast-check'
import { Cookie, CookieJar } from 'tough-cookie'
import { vi } from 'vitest'
import type { CookieOptions } from '../../src/index.ts'
import { Backend } from '../helpers/net.ts'
import { exchange, startSticky } from '../sticky/support.ts'

export const SITE = 'https://www.example.com/app/page'
export const PAST = 'Thu, 01 Jan 1970 00:00:00 GMT'
export const FUTURE = 'Fri, 31 Dec 2100 23:59:59 GMT'
/** The time of every jar. A `Max-Age` then expires at the same time for both cookies. */
const NOW = Date.UTC(2030, 0, 1)
export const HOUR = 3_600_000

/** Requests for the cookies of a jar. They differ in everything that a scope depends on. */
export const VISITS: readonly { url: string; sameSiteContext?: 'strict' | 'lax' | 'none'; http?: boolean }[] = [
  ...['http', 'https'].flatMap((scheme) =>
    ['example.com', 'www.example.com', 'deep.www.example.com', 'other.example', '127.0.0.1', 'localhost'].flatMap(
      (host) =>
        ['/', '/app', '/app/page', '/app/page/x', '/apple'].map((path) => ({ url: `${scheme}://${host}${path}` })),
    ),
  ),
  { url: SITE, http: false },
  { url: SITE, sameSiteContext: 'strict' },
  { url: SITE, sameSiteContext: 'lax' },
  { url: SITE, sameSiteContext: 'none' },
]

const mixedCase = (text: string) => fc.mixedCase(fc.constant(text))
const blank = fc.constantFrom('', ' ', '  ', '\t')
const KNOWN: readonly [name: string, ...values: string[]][] = [
  ['Path', '/', '/app', '/app/', '/app/page', '/other', '', 'app', '"/app"', '//', '/%61pp'],
  [
    'Domain',
    'example.com',
    '.example.com',
    'www.example.com',
    'other.example',
    'com',
    '',
    '.',
    'EXAMPLE.com',
    '127.0.0.1',
  ],
  ['Secure', '', 'no'],
  ['HttpOnly', '', 'false'],
  ['SameSite', 'Strict', 'lax', 'NONE', '', 'Often'],
  ['Max-Age', '3600', '0', '-1', '', '1h', '+5', '007', '0x10', '1e3', ' 60'],
  [
    'Expires',
    PAST,
    FUTURE,
    '',
    '0',
    'Thu, 01-Jan-70 00:00:01 GMT',
    'Sun Nov  6 08:49:37 2094',
    '2100-01-01',
    'Session',
  ],
  ['Partitioned', ''],
  ['', '', 'x'],
]
/** A Set-Cookie value from its first semicolon on. */
export const scope = fc
  .array(
    fc
      .constantFrom(...KNOWN)
      .chain(([name, ...values]) =>
        fc.tuple(
          blank,
          mixedCase(name),
          blank,
          fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...values) }, fc.string({ maxLength: 8 })),
          blank,
        ),
      )
      .map(([a, name, b, value, c]) => `;${a}${name}${b}${value && `=${b}${value.replaceAll('\x7f', '')}`}${c}`),
    { maxLength: 5 },
  )
  .map((attributes) => attributes.join(''))

/** A response with these lines, each without its CRLF. */
export function responseWith(...lines: string[]): string {
  return ['HTTP/1.1 200 OK', ...lines, '', 'ok'].join('\r\n')
}

export function traitsOf(cookie: Cookie): object {
  const { key, value, creation, lastAccessed, ...traits } = cookie.toJSON()
  return traits
}

/** A cookie jar whose clock stands at NOW. */
export class Jar {
  readonly #jar = new CookieJar(null, { prefixSecurity: 'strict', looseMode: true })

  /** Whether the jar stores the cookie. */
  take(line: string, url = SITE, sameSiteContext?: 'strict' | 'lax' | 'none'): boolean {
    return this.#at(0, () => {
      try {
        this.#jar.setCookieSync(line, url, { ...(sameSiteContext && { sameSiteContext }) })
        return true
      } catch {
        return false
      }
    })
  }

  /** Everything that the jar knows of a cookie except its name and value. */
  traits(name: string): object | undefined {
    const all = this.#jar.serializeSync()!.cookies
    const found = all.find(({ key }) => key === name)
    return found && traitsOf(Cookie.fromJSON(found)!)
  }

  /** The names of the cookies that have not expired. */
  get names(): string[] {
    const names = this.#jar.serializeSync()!.cookies.map((cookie) => Cookie.fromJSON(cookie)!)
    return names.filter((cookie) => cookie.expiryTime()! > NOW).map(({ key }) => key)
  }

  cookiesFor({ url, ...options }: (typeof VISITS)[number], after = 0): string {
    return this.#at(after, () => this.#jar.getCookieStringSync(url, options))
  }

  #at<T>(after: number, act: () => T): T {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW + after })
    try {
      return act()
    } finally {
      vi.useRealTimers()
    }
  }
}

/** A sticky proxy whose backend sends a given response. */
export class Front {
  readonly #port: number
  readonly #backend: Backend
  /** The backend id that the last lookup got. */
  sticky: string | undefined

  static async start(cookie: CookieOptions = {}): Promise<Front> {
    const backend = await Backend.start()
    let front!: Front
    const port = await startSticky(
      (_, sticky) => {
        front.sticky = sticky
        return { port: backend.port, host: '127.0.0.1', sticky: 'home' }
      },
      { cookie },
    )
    front = new Front(port, backend)
    return front
  }

  private constructor(port: number, backend: Backend) {
    this.#port = port
    this.#backend = backend
  }

  async exchange(response: string, lines: string[] = [], path = '/app/page') {
    const request = [`GET ${path} HTTP/1.1`, 'Host: www.example.com', ...lines, '', ''].join('\r\n')
    return await exchange(this.#port, this.#backend, request, response)
  }

  /** The Set-Cookie values of this response at the client. */
  async respond(response: string): Promise<string[]> {
    const { got } = await this.exchange(response)
    const head = got.slice(0, got.indexOf('\r\n\r\n'))
    return [...head.matchAll(/^set-cookie:[ \t]*(.*?)[ \t]*$/gim)].map(([, value]) => value!)
  }

  /** The cookies that the backend sees of a request with these cookies. */
  async request(path: string, cookies: string): Promise<string[]> {
    const { seen } = await this.exchange(responseWith(), [`Cookie: ${cookies}`], path)
    return /^cookie: (.*)$/im.exec(seen)![1]!.split('; ')
  }

  /** Whether a visit sends both cookies, neither, or one of them. */
  sees(jar: Jar, visit: (typeof VISITS)[number], after = 0): string {
    const names = jar
      .cookiesFor(visit, after)
      .split('; ')
      .map((pair) => pair.split('=')[0])
    const has = [names.includes('sid'), names.includes('sticky')]
    if (has[0] === has[1]) return has[0] ? 'both' : 'neither'
    return has[0] ? 'sid alone' : 'sticky alone'
  }
}
