import fc from 'fast-check'
import { Cookie } from 'tough-cookie'
import { describe, expect, test } from 'vitest'
import type { CookieOptions } from '../../src/index.ts'
import { Front, FUTURE, HOUR, Jar, PAST, responseWith, SITE, scope, traitsOf, VISITS } from './cookie-support.ts'

describe('a jar does the same with both cookies', () => {
  test.each<[what: string, scope: string, isKept: boolean, url?: string]>([
    ['no attribute', '', true],
    ['nothing behind the semicolon', ';', true],
    ['Path', '; Path=/app', true],
    ['Path with a slash at its end', '; Path=/app/', true],
    ['Path of another folder', '; Path=/other', true],
    ['Path, relative', '; Path=app', true],
    ['Path, empty', '; Path=', true],
    ['Path, twice', '; Path=/; Path=/app', true],
    ['Path in quotes', '; Path="/app"', true],
    ['Domain of the host', '; Domain=www.example.com', true],
    ['Domain of the parent', '; Domain=example.com', true],
    ['Domain with a dot', '; Domain=.example.com', true],
    ['Domain in capitals', '; DOMAIN=EXAMPLE.COM', true],
    ['Domain of a child', '; Domain=deep.www.example.com', false],
    ['Domain of somebody else', '; Domain=other.example', false],
    ['Domain of a whole registry', '; Domain=com', false],
    ['Domain, empty', '; Domain=', true],
    ['Domain, twice', '; Domain=other.example; Domain=example.com', true],
    ['Domain that is an address', '; Domain=127.0.0.1', false, 'http://127.0.0.1/'],
    ['Domain of localhost', '; Domain=localhost', true, 'http://localhost/app'],
    ['Secure', '; Secure', true],
    ['Secure with a value', '; Secure=no', true],
    ['HttpOnly', '; HttpOnly', true],
    ['SameSite=Strict', '; SameSite=Strict', true],
    ['SameSite=Lax', '; SameSite=Lax', true],
    ['SameSite=None', '; SameSite=None; Secure', true],
    ['SameSite that is none', '; SameSite=Often', true],
    ['Max-Age', '; Max-Age=3600', true],
    ['Max-Age of nothing', '; Max-Age=0', true],
    ['Max-Age below nothing', '; Max-Age=-5', true],
    ['Max-Age that is no number', '; Max-Age=1h', true],
    ['Max-Age of an age', `; Max-Age=${'9'.repeat(30)}`, true],
    ['Expires', '; Expires=Tue, 01 Jan 2030 01:00:00 GMT', true],
    ['Expires in the past', `; Expires=${PAST}`, true],
    ['Expires in the future', `; Expires=${FUTURE}`, true],
    ['Expires with dashes', '; Expires=Tue, 01-Jan-30 01:00:00 GMT', true],
    ['Expires that is no date', '; Expires=tomorrow', true],
    ['Max-Age before Expires', `; Max-Age=3600; Expires=${PAST}`, true],
    ['Expires before Max-Age', `; Expires=${FUTURE}; Max-Age=0`, true],
    ['what nobody knows', '; Priority=High; Partitioned; =; ==x', true],
    ['all of them', `; path=/app;domain=example.com ;SECURE;httponly; SameSite=Lax; Expires=${FUTURE}`, true],
    ['a semicolon in quotes', '"; Path="/app', true],
  ])('%s', async (_, scope, isKept, url = SITE) => {
    const front = await Front.start()
    const [theirs, ours] = (await front.respond(responseWith(`Set-Cookie: sid=1${scope}`))) as [string, string]
    const jar = new Jar()
    expect([jar.take(theirs, url), jar.take(ours, url)]).toEqual([isKept, isKept])
    expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
    // With the clock too: both go in the same second.
    for (const after of [0, HOUR - 1000, HOUR, 100 * 365 * 24 * HOUR]) {
      for (const visit of VISITS) expect(front.sees(jar, visit, after), visit.url).toBeOneOf(['both', 'neither'])
    }
    for (const context of ['strict', 'lax', 'none'] as const) {
      const crossing = new Jar()
      expect(crossing.take(ours, url, context)).toBe(crossing.take(theirs, url, context))
    }
  })

  test('of any scope, whatever is broken in it', async () => {
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
    // Or it would have shown nothing.
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
  })

  test.each([
    ['Max-Age', 'Max-Age=0'],
    ['Expires', `Expires=${PAST}`],
  ])('of a deletion by %s: what was kept goes at once, both', async (_, deletion) => {
    const front = await Front.start()
    let keptCount = 0
    await fc.assert(
      fc.asyncProperty(scope, async (scope) => {
        const jar = new Jar()
        // An attribute of a date before it would have the last word.
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

  test('of names with a prefix that asks for a scope', async () => {
    for (const prefix of ['__Secure-', '__Host-']) {
      const front = await Front.start({ name: `${prefix}sticky` })
      const kept: boolean[] = []
      for (const scope of ['', '; Secure', '; Path=/', '; Path=/; Secure', '; Path=/; Secure; Domain=example.com']) {
        const lines = await front.respond(responseWith(`Set-Cookie: ${prefix}sid=1${scope}`))
        const jar = new Jar()
        const [theirs, ours] = lines.map((line) => jar.take(line))
        expect(ours, scope).toBe(theirs)
        kept.push(ours!)
      }
      expect(kept).toEqual(prefix === '__Host-' ? [false, false, false, true, false] : [false, true, false, true, true])
    }
  })
})

test('of several cookies, ours lives and dies with the first that the jar would keep', async () => {
  const front = await Front.start()
  const deletion = fc.constantFrom('', '; Max-Age=0', `; Expires=${PAST}`)
  const cookies = fc.array(
    fc.tuple(scope, deletion).map((parts) => parts.join('')),
    { minLength: 2, maxLength: 4 },
  )
  const seen = { isDeleted: 0, isSecond: 0 }
  await fc.assert(
    fc.asyncProperty(cookies, async (scopes) => {
      const lines = await front.respond(responseWith(...scopes.map((scope, i) => `Set-Cookie: c${i}=1${scope}`)))
      const [ours, ...theirs] = [...lines.slice(-1), ...lines.slice(0, -1)].map((line) => Cookie.parse(line)!)
      // Of the present, as the server knows it.
      const first = theirs.findIndex((cookie) => cookie.TTL() > 0)
      expect(traitsOf(ours!)).toEqual(traitsOf(theirs[Math.max(first, 0)]!))
      if (first < 0) seen.isDeleted++
      if (first > 0) seen.isSecond++
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
  ])('a jar keeps it with the attributes %j', async (scope, attributes) => {
    const front = await Front.start({ insert: true, ...(attributes !== undefined && { attributes }) })
    const lines = await front.respond(responseWith('Content-Type: text/plain'))
    const jar = new Jar()
    // Beside what an application would have set with that scope.
    expect(lines.map((line) => jar.take(line))).toEqual([jar.take(`sid=1; ${scope}`)])
    expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
    for (const visit of VISITS) expect(front.sees(jar, visit), visit.url).toBeOneOf(['both', 'neither'])
  })

  test('with a cookie of the application, the scope is that of the application', async () => {
    const front = await Front.start({ insert: true, attributes: 'Path=/; Max-Age=5' })
    const jar = new Jar()
    for (const line of await front.respond(responseWith('Set-Cookie: sid=1; Path=/app; Secure'))) jar.take(line)
    expect(jar.traits('sticky')).toEqual(jar.traits('sid'))
  })
})

describe('what a jar sends back', () => {
  test.each<[what: string, cookie: CookieOptions]>([
    ['plain', {}],
    ['signed', { secret: 's' }],
    ['indirect', { indirect: true }],
    ['insert', { insert: true }],
  ])('names the home at the proxy, and the session at the backend, %s', async (_, cookie) => {
    const front = await Front.start(cookie)
    const jar = new Jar()
    const lines = ['Set-Cookie: sid="a=b, c"; Path=/app', 'Set-Cookie: theme=\xe9; Path=/']
    for (const line of await front.respond(responseWith(...lines))) jar.take(line)
    const theirs = ['sid="a=b, c"', 'theme=\xe9']
    const isIndirect = 'indirect' in cookie
    for (const [path, isHome] of [['/app/x', true] as const, ['/else', false] as const]) {
      const cookies = jar.cookiesFor({ url: `https://www.example.com${path}` })
      const seen = await front.request(path, cookies)
      expect(front.sticky).toBe(isHome ? 'home' : undefined)
      expect(seen.filter((pair) => !pair.startsWith('sticky='))).toEqual(isHome ? theirs : theirs.slice(1))
      expect(seen.some((pair) => pair.startsWith('sticky='))).toBe(isHome && !isIndirect)
    }
  })
})

describe('the response reaches the client byte for byte as the backend sent it, but for one line', () => {
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

  test('whatever its cookies look like', async () => {
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
