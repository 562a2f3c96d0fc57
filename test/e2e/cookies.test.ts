import fc from 'fast-check'
import { Cookie } from 'tough-cookie'
import { describe, expect, test } from 'vitest'
import type { CookieOptions } from '../../src/index.ts'
import { Front, FUTURE, HOUR, Jar, PAST, responseWith, SITE, scope, traitsOf, VISITS } from './cookie-support.ts'

describe('a jar treats both cookies the same', () => {
  test.each<[what: string, scope: string, isKept: boolean, url?: string]>([
    ['no attribute', '', true],
    ['an empty attribute', ';', true],
    ['a Path', '; Path=/app', true],
    ['a Path that ends in a slash', '; Path=/app/', true],
    ['the Path of another folder', '; Path=/other', true],
    ['a relative Path', '; Path=app', true],
    ['an empty Path', '; Path=', true],
    ['two Paths', '; Path=/; Path=/app', true],
    ['a quoted Path', '; Path="/app"', true],
    ['the host as Domain', '; Domain=www.example.com', true],
    ['the parent domain as Domain', '; Domain=example.com', true],
    ['a Domain that starts with a dot', '; Domain=.example.com', true],
    ['a Domain in capitals', '; DOMAIN=EXAMPLE.COM', true],
    ['a subdomain as Domain', '; Domain=deep.www.example.com', false],
    ['the Domain of another site', '; Domain=other.example', false],
    ['a public suffix as Domain', '; Domain=com', false],
    ['an empty Domain', '; Domain=', true],
    ['two Domains', '; Domain=other.example; Domain=example.com', true],
    ['an IP address as Domain', '; Domain=127.0.0.1', false, 'http://127.0.0.1/'],
    ['localhost as Domain', '; Domain=localhost', true, 'http://localhost/app'],
    ['Secure', '; Secure', true],
    ['a value for Secure', '; Secure=no', true],
    ['HttpOnly', '; HttpOnly', true],
    ['SameSite=Strict', '; SameSite=Strict', true],
    ['SameSite=Lax', '; SameSite=Lax', true],
    ['SameSite=None', '; SameSite=None; Secure', true],
    ['an unknown value for SameSite', '; SameSite=Often', true],
    ['a Max-Age', '; Max-Age=3600', true],
    ['a Max-Age of 0', '; Max-Age=0', true],
    ['a negative Max-Age', '; Max-Age=-5', true],
    ['a Max-Age that is not a number', '; Max-Age=1h', true],
    ['a Max-Age of 30 digits', `; Max-Age=${'9'.repeat(30)}`, true],
    ['an Expires', '; Expires=Tue, 01 Jan 2030 01:00:00 GMT', true],
    ['an Expires in the past', `; Expires=${PAST}`, true],
    ['an Expires in the future', `; Expires=${FUTURE}`, true],
    ['an Expires with dashes', '; Expires=Tue, 01-Jan-30 01:00:00 GMT', true],
    ['an Expires that is not a date', '; Expires=tomorrow', true],
    ['a Max-Age before an Expires', `; Max-Age=3600; Expires=${PAST}`, true],
    ['an Expires before a Max-Age', `; Expires=${FUTURE}; Max-Age=0`, true],
    ['unknown attributes', '; Priority=High; Partitioned; =; ==x', true],
    ['all attributes', `; path=/app;domain=example.com ;SECURE;httponly; SameSite=Lax; Expires=${FUTURE}`, true],
    ['a semicolon in quotes', '"; Path="/app', true],
  ])('with %s', async (_, scope, isKept, url = SITE) => {
    const front = await Front.start()
    const [theirs, ours] = (await front.respond(responseWith(`Set-Cookie: sid=1${scope}`))) as [string, string]
    const jar = new Jar()
    expect([jar.take(theirs, url), jar.take(ours, url)]).toEqual([isKept, isKept])
    expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
    // They also expire in the same second.
    for (const after of [0, HOUR - 1000, HOUR, 100 * 365 * 24 * HOUR]) {
      for (const visit of VISITS) expect(front.sees(jar, visit, after), visit.url).toBeOneOf(['both', 'neither'])
    }
    for (const context of ['strict', 'lax', 'none'] as const) {
      const crossing = new Jar()
      expect(crossing.take(ours, url, context)).toBe(crossing.take(theirs, url, context))
    }
  })

  test('for any scope, even a malformed one', async () => {
    const front = await Front.start()
    const counts = { kept: 0, refused: 0, sent: 0 }
    await fc.assert(
      fc.asyncProperty(scope, fc.constantFrom(...VISITS), fc.constantFrom(...VISITS), async (scope, from, to) => {
        const [theirs, ours] = (await front.respond(responseWith(`Set-Cookie: sid=1${scope}`))) as [string, string]
        const jar = new Jar()
        const isKept = jar.take(theirs, from.url, from.sameSiteContext)
        expect(jar.take(ours, from.url, from.sameSiteContext)).toBe(isKept)
        expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
        const seen = front.sees(jar, to)
        expect(seen).toBeOneOf(['both', 'neither'])
        counts[isKept ? 'kept' : 'refused']++
        if (seen === 'both') counts.sent++
      }),
      { numRuns: 400 },
    )
    // Some of the cookies were stored.
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
  })

  test.each([
    ['Max-Age', 'Max-Age=0'],
    ['Expires', `Expires=${PAST}`],
  ])('removes both at once when the application deletes its cookie with %s', async (_, deletion) => {
    const front = await Front.start()
    let keptCount = 0
    await fc.assert(
      fc.asyncProperty(scope, async (scope) => {
        const jar = new Jar()
        // A date before `deletion` would otherwise decide.
        const kept = scope.replace(/(max-age|expires)/gi, 'x')
        for (const line of await front.respond(responseWith(`Set-Cookie: sid=1${kept}`))) jar.take(line)
        if (jar.names.length > 0) keptCount++
        expect(jar.names.length).toBeOneOf([0, 2])
        for (const line of await front.respond(responseWith(`Set-Cookie: sid=${kept}; ${deletion}`))) jar.take(line)
        expect(jar.names).toEqual([])
      }),
    )
    expect(keptCount).toBeGreaterThan(0)
  })

  test('for names with a prefix that requires a scope', async () => {
    for (const prefix of ['__Secure-', '__Host-']) {
      const front = await Front.start({ name: `${prefix}sticky` })
      for (const scope of ['', '; Secure', '; Path=/x', '; Path=/; Secure', '; Path=/x; Secure; Domain=example.com']) {
        const lines = await front.respond(responseWith(`Set-Cookie: sid=1; Max-Age=60${scope}`))
        const jar = new Jar()
        expect(lines.map((line) => jar.take(line))).toEqual([true, true])
        const { maxAge, secure, path } = jar.traits(`${prefix}sticky`) as Cookie
        expect([maxAge, secure]).toEqual([60, true])
        if (prefix === '__Host-') expect(path).toBe('/')
      }
    }
  })
})

test('the sticky cookie gets the widest scope of the live cookies and the longest lifetime', async () => {
  const front = await Front.start()
  const deletion = fc.constantFrom('', '; Max-Age=0', `; Expires=${PAST}`)
  const cookies = fc.array(
    fc.tuple(scope, deletion).map((parts) => parts.join('')),
    { minLength: 2, maxLength: 4 },
  )
  const seen = { isDeleted: 0, isOther: 0 }
  await fc.assert(
    fc.asyncProperty(cookies, async (scopes) => {
      const lines = await front.respond(responseWith(...scopes.map((scope, i) => `Set-Cookie: c${i}=1${scope}`)))
      const [ours, ...theirs] = [...lines.slice(-1), ...lines.slice(0, -1)].map((line) => Cookie.parse(line)!)
      // Relative to the server's clock.
      const now = Date.now()
      const living = theirs.filter((cookie) => cookie.TTL(now) > 0)
      const lifeOf = (cookie: Cookie) => (Number.isFinite(cookie.TTL(now)) ? cookie.TTL(now) : 24 * HOUR)
      const widthOf = ({ path }: Cookie) => 1 / (path ?? '/app').length
      const [best] = (living.length > 0 ? living : theirs).sort(
        (a, b) => widthOf(b) - widthOf(a) || (living.length > 0 ? lifeOf(b) - lifeOf(a) : 0),
      )
      expect(traitsOf(ours!)).toEqual(traitsOf(best!))
      if (living.length === 0) seen.isDeleted++
      if (best!.key !== 'c0') seen.isOther++
    }),
    { numRuns: 400 },
  )
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0)
})

describe('insert', () => {
  test.each([
    ['Path=/; HttpOnly', undefined],
    ['', ''],
    ['Path=/app', 'Path=/app'],
    ['Path=/; Secure; SameSite=None; Partitioned', 'Path=/; Secure; SameSite=None; Partitioned'],
    ['Domain=example.com; Max-Age=3600', 'Domain=example.com; Max-Age=3600'],
    ['Domain=other.example', 'Domain=other.example'],
    [`Expires=${FUTURE}`, `Expires=${FUTURE}`],
  ])('sets a cookie that a jar stores with the attributes %j', async (scope, attributes) => {
    const front = await Front.start({ insert: true, ...(attributes !== undefined && { attributes }) })
    const lines = await front.respond(responseWith('Content-Type: text/plain'))
    const jar = new Jar()
    // The result equals that of an application cookie with that scope.
    expect(lines.map((line) => jar.take(line))).toEqual([jar.take(`sid=1; ${scope}`)])
    expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
    for (const visit of VISITS) expect(front.sees(jar, visit), visit.url).toBeOneOf(['both', 'neither'])
  })

  test('takes no scope from a cookie of the application', async () => {
    const front = await Front.start({ insert: true, attributes: 'Path=/; Max-Age=5' })
    const jar = new Jar()
    for (const line of await front.respond(responseWith('Set-Cookie: csrf=1; Path=/app; Max-Age=60'))) jar.take(line)
    jar.take('like=1; Path=/; Max-Age=5')
    expect(jar.traits('sticky')).toEqual(jar.traits('like'))
  })
})

describe('a jar', () => {
  test.each<[what: string, cookie: CookieOptions]>([
    ['the default options', {}],
    ['a secret', { secret: 's' }],
    ['indirect', { indirect: true }],
    ['insert', { insert: true }],
  ])('sends the sticky cookie to the proxy and the session cookie to the backend, with %s', async (_, cookie) => {
    const front = await Front.start(cookie)
    const jar = new Jar()
    const lines = ['Set-Cookie: sid="a=b, c"; Path=/app', 'Set-Cookie: theme=\xe9; Path=/']
    for (const line of await front.respond(responseWith(...lines))) jar.take(line)
    const theirs = ['sid="a=b, c"', 'theme=\xe9']
    const isIndirect = 'indirect' in cookie
    for (const [path, expected] of [['/app/x', theirs] as const, ['/else', theirs.slice(1)] as const]) {
      const cookies = jar.cookiesFor({ url: `https://www.example.com${path}` })
      const seen = await front.request(path, cookies)
      expect(front.sticky).toBe('home')
      expect(seen.filter((pair) => !pair.startsWith('sticky='))).toEqual(expected)
      expect(seen.some((pair) => pair.startsWith('sticky='))).toBe(!isIndirect)
    }
  })
})

describe('the response reaches the client byte for byte except for one line', () => {
  const octets = fc
    .array(
      fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
        fc.integer({ min: 0x80, max: 0xff }),
        fc.constant(9),
      ),
      {
        maxLength: 40,
      },
    )
    .map((codes) => String.fromCharCode(...codes))
  const blanks = fc.constantFrom('', ' ', '\t', '  \t')
  const name = fc.constantFrom('Set-Cookie', 'set-cookie', 'SET-COOKIE', 'sEt-CoOkIe', 'Set-Cookie2', 'X-Odd', 'Cookie')
  const line = fc
    .tuple(name, blanks, octets, blanks)
    .map(([name, before, text, after]) => `${name}:${before}${text}${after}`)

  test('with any cookies', async () => {
    const front = await Front.start()
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), octets, async (lines, body) => {
        const response = responseWith(...lines).replace(/ok$/, body)
        const { got } = await front.exchange(response)
        const end = response.indexOf('\r\n\r\n') + 2
        const isSet = lines.some((line) => /^set-cookie:/i.test(line))
        const added = got.slice(end, got.length - response.length + end)
        expect(got).toBe(response.slice(0, end) + added + response.slice(end))
        expect(added).toMatch(isSet ? /^Set-Cookie: sticky=home(;[^\r\n]*)?\r\n$/ : /^$/)
        if (isSet) count++
      }),
      { numRuns: 300 },
    )
    expect(count).toBeGreaterThan(0)
  })
})
