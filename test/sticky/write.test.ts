import { describe, expect, it } from 'vitest'
import { type CookieOptions, StickyCookie } from '../../src/sticky/cookie.ts'
import { linesOf, responseOf } from './support.ts'

const PAST = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'
const FUTURE = 'Expires=Fri, 31 Dec 9999 23:59:59 GMT'

/** Returns what is added to a response with these lines. The lines must not change. */
function added(lines: string[], options: CookieOptions = {}): string[] {
  const head = responseOf(...lines)
  const before = head.bytes()
  new StickyCookie(options).write(head, 'home')
  const after = head.bytes()
  expect(after.subarray(0, before.length - 2)).toEqual(before.subarray(0, -2))
  return linesOf(head).slice(lines.length)
}

describe("beside the application's cookie, with its scope", () => {
  it.each([
    ['none', 'sid=1', ''],
    ['Path', 'sid=1; Path=/app', '; Path=/app'],
    ['Domain', 'sid=1; Domain=a.test', '; Domain=a.test'],
    ['Secure', 'sid=1; Secure', '; Secure'],
    ['HttpOnly', 'sid=1; HttpOnly', '; HttpOnly'],
    ['SameSite', 'sid=1; SameSite=None', '; SameSite=None'],
    ['Max-Age', 'sid=1; Max-Age=60', '; Max-Age=60'],
    ['Expires', `sid=1; ${FUTURE}`, `; ${FUTURE}`],
    ['Partitioned', 'sid=1; Partitioned', '; Partitioned'],
    ['an unknown one', 'sid=1; Later=x', '; Later=x'],
    [
      'any case, order and spacing',
      'sid=1 ;PARTITIONED; path = / ;\tmax-age=5;;secure',
      ';PARTITIONED; path = / ;\tmax-age=5;;secure',
    ],
    ['a value with equal signs, quotes and commas', 'sid="a=b,c"; Path="/"', '; Path="/"'],
    ['quotes around a semicolon, which do not hide it', 'sid="a; Path=/"; Secure', '; Path=/"; Secure'],
    ['obs-text', 'sid=\xe9; Path=/\xe9', '; Path=/\xe9'],
    ['only a semicolon', 'sid=1;', ';'],
    ['an empty value', 'sid=; Path=/', '; Path=/'],
    ['no name', 'sid; Path=/', '; Path=/'],
  ])('%s', (_, theirs, scope) => {
    expect(added([`Set-Cookie: ${theirs}`])).toEqual([`Set-Cookie: sticky=home${scope}`])
  })

  it('keeps the application`s lines byte for byte, and adds ours after them', () => {
    const lines = ['A:1', 'set-cookie:sid=1;Path=/', 'B: 2 ', 'SET-COOKIE:  x=\xe9 ; HttpOnly\t', 'a:\t3']
    expect(added(lines)).toEqual(['Set-Cookie: sticky=home;Path=/'])
  })

  it('adds none if the application sets no cookie', () => {
    const head = responseOf('Content-Length: 0', 'Cookie: sid=1', 'Set-Cookie2: sid=1')
    const before = head.bytes()
    new StickyCookie({}).write(head, 'home')
    expect(head.bytes()).toBe(before)
  })

  it('uses our name', () => {
    expect(added(['Set-Cookie: sticky=theirs; Path=/'], { name: 'home' })).toEqual(['Set-Cookie: home=home; Path=/'])
  })
})

describe('of several cookies, the one with the widest Path counts, then the longest-lived', () => {
  it.each([
    ['two equal ones: the first', ['a=1; Path=/a', 'b=2; Path=/b'], '; Path=/a'],
    ['a shorter Path second', ['a=1; Path=/login; Max-Age=9', 'b=2; Path=/; Max-Age=5'], '; Path=/; Max-Age=5'],
    ['a shorter Path first', ['a=1; Path=/; Max-Age=5', 'b=2; Path=/login; Max-Age=9'], '; Path=/; Max-Age=5'],
    ['a Path that ends with a slash', ['a=1; Path=/app/', 'b=2; Path=/app'], '; Path=/app'],
    ['no Path, for a page in the root', ['b=2; Path=/login', 'a=1; Secure'], '; Secure'],
    ['a relative Path, which does not count', ['b=2; Path=/login', 'a=1; Path=x'], '; Path=x'],
    ['the last of several Paths', ['a=1; Path=/; Path=/login', 'b=2; Path=/b'], '; Path=/b'],
    ['a longer Max-Age', ['a=1; Max-Age=60', 'b=2; Max-Age=61'], '; Max-Age=61'],
    ['a later Expires', ['a=1; Max-Age=60', `b=2; ${FUTURE}`], `; ${FUTURE}`],
    ['Max-Age goes before Expires', [`a=1; Max-Age=60; ${FUTURE}`, 'b=2; Max-Age=61'], '; Max-Age=61'],
    ['until the browser closes, against a minute', ['a=1; Max-Age=60', 'b=2; Secure'], '; Secure'],
    ['until the browser closes, against a day', ['a=1; Secure', 'b=2; Max-Age=86401'], '; Max-Age=86401'],
    [
      'two that live forever',
      [`a=1; Max-Age=${'9'.repeat(400)}; Path=/a`, 'b=2; Path=/b'],
      /^; Max-Age=9{400}; Path=\/a$/,
    ],
    ['a deletion by Max-Age first', ['a=; Max-Age=0; Path=/a', 'b=2; Path=/b'], '; Path=/b'],
    ['a deletion by Expires first', [`a=; ${PAST}; Path=/a`, 'b=2; Path=/b'], '; Path=/b'],
    ['a deletion last', ['a=1; Path=/a', 'b=; Max-Age=0; Path=/b'], '; Path=/a'],
    ['a deletion on both sides', ['a=; Max-Age=-1', 'b=2; Path=/b', 'c=; Max-Age=0'], '; Path=/b'],
    ['a deletion with a wider Path', ['a=; Path=/; Max-Age=0', 'b=2; Path=/b'], '; Path=/b'],
    ['an empty value, which is not a deletion', ['a=; Path=/a', 'b=2; Path=/b'], '; Path=/a'],
  ])('%s', (_, theirs, scope) => {
    const [line, ...more] = added(theirs.map((cookie) => `Set-Cookie: ${cookie}`))
    expect(more).toEqual([])
    const got = line!.slice('Set-Cookie: sticky=home'.length)
    if (typeof scope === 'string') expect(got).toBe(scope)
    else expect(got).toMatch(scope)
  })
})

describe('a cookie without a Path belongs to the folder of the request', () => {
  it.each([
    ['/login', '; Secure'],
    ['/', '; Secure'],
    ['/app/login?next=/', '; Path=/app'],
    ['/x/login?next=/', '; Secure'],
    ['http://a.test/application/login', '; Path=/app'],
    ['http://a.test?x=/a/b/c/d', '; Secure'],
    ['*', '; Secure'],
  ])('%s', (target, scope) => {
    const head = responseOf('Set-Cookie: b=2; Path=/app', 'Set-Cookie: a=1; Secure')
    new StickyCookie({}).write(head, 'home', target)
    expect(linesOf(head).at(-1)).toBe(`Set-Cookie: sticky=home${scope}`)
  })
})

describe('`beside` names the cookie whose scope is used', () => {
  it.each([
    ['among others', ['a=1; Path=/', 'sid=2; Path=/app', 'b=3; Max-Age=9'], ['; Path=/app']],
    ['the widest of several', ['sid=1; Path=/login', 'sid=2; Path=/', 'b=3'], ['; Path=/']],
    ['with spaces around the name', [' sid = 1; Path=/app'], ['; Path=/app']],
    ['if it is deleted, the sticky cookie is deleted', ['a=1; Path=/', `sid=; ${PAST}`], [`; ${PAST}`]],
    ['if another is deleted, nothing happens', [`a=; ${PAST}`], []],
    ['without it no cookie is set', ['a=1; Path=/', 'SID=2', 'sid', 'xsid=3', 'a=sid=4', 'b=1; sid=5'], []],
  ])('%s', (_, theirs, scopes) => {
    const lines = added(
      theirs.map((cookie) => `Set-Cookie: ${cookie}`),
      { beside: 'sid' },
    )
    expect(lines).toEqual(scopes.map((scope) => `Set-Cookie: sticky=home${scope}`))
  })
})

describe('a name prefix keeps its required attributes', () => {
  it.each([
    ['__Host-s', 'a=1', '; Path=/; Secure'],
    ['__Host-s', 'a=1; Path=/login; Max-Age=60; HttpOnly', '; Max-Age=60; HttpOnly; Path=/; Secure'],
    ['__Host-s', 'a=1; Domain=a.test;path = /x; SECURE; SameSite=Lax', '; SameSite=Lax; Path=/; Secure'],
    ['__host-s', 'a=1; Domain; Path=/; Secure', '; Path=/; Secure'],
    ['__Host-s', 'a=1; secure; PATH=/; Max-Age=5', '; secure; PATH=/; Max-Age=5'],
    ['__Host-s', `a=; Path=/login; ${PAST}`, `; ${PAST}; Path=/; Secure`],
    ['__Secure-s', 'a=1; Path=/login', '; Path=/login; Secure'],
    ['__SECURE-s', 'a=1; Domain=a.test; Secure', '; Domain=a.test; Secure'],
    ['x__Host-s', 'a=1; Path=/login', '; Path=/login'],
  ])('%s beside %s', (name, theirs, scope) => {
    expect(added([`Set-Cookie: ${theirs}`], { name })).toEqual([`Set-Cookie: ${name}=home${scope}`])
  })
})

describe('if the application only deletes cookies', () => {
  const deletions = [`Set-Cookie: a=; ${PAST}; Path=/a`, 'Set-Cookie: b=; Max-Age=0; Path=/b']

  it('ours is deleted too, with the scope of the first of the widest ones', () => {
    expect(added(deletions)).toEqual([`Set-Cookie: sticky=home; ${PAST}; Path=/a`])
  })

  it('ours stays with `insert`, in its own scope', () => {
    expect(added(deletions, { insert: true })).toEqual(['Set-Cookie: sticky=home; Path=/; HttpOnly'])
  })
})

describe('deletions', () => {
  it.each([
    ['Max-Age=0', true],
    ['Max-Age=-1', true],
    ['max-age = -0', true],
    ['MAX-AGE=00', true],
    [PAST, true],
    [`EXPIRES=${PAST.slice('Expires='.length)}`, true],
    ['Expires="Thu, 01 Jan 1970 00:00:00 GMT"', true],
    ['Expires=Thu, 01-Jan-70 00:00:01 GMT', true],
    ['Expires=Thu Jan  1 00:00:00 1970', true],
    [`${FUTURE}; Max-Age=0`, true],
    [`Max-Age=0; ${FUTURE}`, true],
    ['Max-Age=60; Max-Age=0', true],
    ['Max-Age=0; Max-Age=x', true],
    [`${FUTURE}; ${PAST}`, true],
    [`${PAST}; Expires=later`, true],
    [`Max-Age=x; ${PAST}`, true],
    ['Max-Age=1', false],
    [`Max-Age=${'9'.repeat(400)}`, false],
    ['Max-Age=', false],
    ['Max-Age', false],
    ['Max-Age=-', false],
    ['Max-Age=+0', false],
    ['Max-Age="0"', false],
    ['Max-Age=0.5', false],
    ['Max-Age=0x0', false],
    ['\xa0Max-Age=0', false],
    ['X-Max-Age=0', false],
    ['Max-Age=0; Max-Age=60', false],
    [`Max-Age=60; ${PAST}`, false],
    [FUTURE, false],
    [`${PAST}; ${FUTURE}`, false],
    ['Expires=', false],
    ['Expires', false],
    ['Expires=0', false],
    ['Expires=-1', false],
    ['Expires=Session', false],
    ['Expires=Thu, 01 Jan 1970', false],
    ['Expires=Fri, 01-Jan-60 00:00:00 GMT', false],
    ['Secure', false],
  ])('%s: %s', (attributes, isDeletion) => {
    const [line] = added([`Set-Cookie: a=1; Path=/a; ${attributes}`, 'Set-Cookie: b=2; Path=/b; Max-Age=1'])
    expect(line?.includes('Path=/b')).toBe(isDeletion)
  })
})

describe('insert', () => {
  it.each<[what: string, options: CookieOptions, scope: string]>([
    ['by default', {}, '; Path=/; HttpOnly'],
    ['with attributes', { attributes: 'Path=/app; Secure; SameSite=Lax' }, '; Path=/app; Secure; SameSite=Lax'],
    ['with none', { attributes: '' }, ''],
  ])('sets the cookie if the application sets none, %s', (_, options, scope) => {
    expect(added(['A: 1'], { insert: true, ...options })).toEqual([`Set-Cookie: sticky=home${scope}`])
  })

  it.each(['csrf=1; Path=/login; Max-Age=60', 'sid=1; Path=/app; Domain=a.test', `sid=; ${PAST}`])(
    'uses the operator`s attributes if the application sets: %s',
    (theirs) => {
      const options = { insert: true, attributes: 'Path=/; Secure' }
      expect(added([`Set-Cookie: ${theirs}`], options)).toEqual(['Set-Cookie: sticky=home; Path=/; Secure'])
    },
  )

  it('without it, attributes have no effect', () => {
    expect(added(['A: 1'], { attributes: 'Secure' })).toEqual([])
    expect(added(['Set-Cookie: a=1'], { attributes: 'Secure' })).toEqual(['Set-Cookie: sticky=home'])
  })
})
