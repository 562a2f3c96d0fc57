import { describe, expect, it } from 'vitest'
import { type CookieOptions, StickyCookie } from '../../src/sticky/cookie.ts'
import { linesOf, responseOf } from './support.ts'

const PAST = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'
const FUTURE = 'Expires=Fri, 31 Dec 9999 23:59:59 GMT'

/** What is added to a response with these lines; the lines themselves must stay, and in place. */
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
    ['one that nobody knows', 'sid=1; Later=x', '; Later=x'],
    [
      'any case, order and spacing',
      'sid=1 ;PARTITIONED; path = / ;\tmax-age=5;;secure',
      ';PARTITIONED; path = / ;\tmax-age=5;;secure',
    ],
    ['a value with equal signs, quotes and commas', 'sid="a=b,c"; Path="/"', '; Path="/"'],
    ['quotes around a semicolon, which hide none', 'sid="a; Path=/"; Secure', '; Path=/"; Secure'],
    ['obs-text', 'sid=\xe9; Path=/\xe9', '; Path=/\xe9'],
    ['a semicolon and no more', 'sid=1;', ';'],
    ['an empty value', 'sid=; Path=/', '; Path=/'],
    ['no name', 'sid; Path=/', '; Path=/'],
  ])('%s', (_, theirs, scope) => {
    expect(added([`Set-Cookie: ${theirs}`])).toEqual([`Set-Cookie: sticky=home${scope}`])
  })

  it('the lines of the application stay byte for byte and in place, and ours comes after them', () => {
    const lines = ['A:1', 'set-cookie:sid=1;Path=/', 'B: 2 ', 'SET-COOKIE:  x=\xe9 ; HttpOnly\t', 'a:\t3']
    expect(added(lines)).toEqual(['Set-Cookie: sticky=home;Path=/'])
  })

  it('there is none where the application sets no cookie', () => {
    const head = responseOf('Content-Length: 0', 'Cookie: sid=1', 'Set-Cookie2: sid=1')
    const before = head.bytes()
    new StickyCookie({}).write(head, 'home')
    expect(head.bytes()).toBe(before)
  })

  it('the name is ours', () => {
    expect(added(['Set-Cookie: sticky=theirs; Path=/'], { name: 'home' })).toEqual(['Set-Cookie: home=home; Path=/'])
  })
})

describe('of several cookies it rides with the first that is not a deletion', () => {
  it.each([
    ['two that live', ['a=1; Path=/a', 'b=2; Path=/b'], '; Path=/a'],
    ['a deletion by Max-Age first', ['a=; Max-Age=0; Path=/a', 'b=2; Path=/b'], '; Path=/b'],
    ['a deletion by Expires first', [`a=; ${PAST}; Path=/a`, 'b=2; Path=/b'], '; Path=/b'],
    ['a deletion last', ['a=1; Path=/a', 'b=; Max-Age=0; Path=/b'], '; Path=/a'],
    ['a deletion on both sides', ['a=; Max-Age=-1', 'b=2; Path=/b', 'c=; Max-Age=0'], '; Path=/b'],
    ['an empty value, which is no deletion', ['a=; Path=/a', 'b=2; Path=/b'], '; Path=/a'],
  ])('%s', (_, theirs, scope) => {
    expect(added(theirs.map((cookie) => `Set-Cookie: ${cookie}`))).toEqual([`Set-Cookie: sticky=home${scope}`])
  })
})

describe('where the application only deletes', () => {
  const deletions = [`Set-Cookie: a=; ${PAST}; Path=/a`, 'Set-Cookie: b=; Max-Age=0; Path=/b']

  it('ours is deleted too, with the scope of the first', () => {
    expect(added(deletions)).toEqual([`Set-Cookie: sticky=home; ${PAST}; Path=/a`])
  })

  it('ours lives on with `insert`, in its own scope', () => {
    expect(added(deletions, { insert: true })).toEqual(['Set-Cookie: sticky=home; Path=/; HttpOnly'])
  })
})

describe('what is a deletion', () => {
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
    const [line] = added([`Set-Cookie: a=1; Path=/a; ${attributes}`, 'Set-Cookie: b=2; Path=/b'])
    expect(line?.includes('Path=/b')).toBe(isDeletion)
  })
})

describe('insert', () => {
  it.each<[what: string, options: CookieOptions, scope: string]>([
    ['by default', {}, '; Path=/; HttpOnly'],
    ['with attributes', { attributes: 'Path=/app; Secure; SameSite=Lax' }, '; Path=/app; Secure; SameSite=Lax'],
    ['with none', { attributes: '' }, ''],
  ])('sets the cookie where the application sets none, %s', (_, options, scope) => {
    expect(added(['A: 1'], { insert: true, ...options })).toEqual([`Set-Cookie: sticky=home${scope}`])
  })

  it("rides with the application's cookie all the same, where there is one", () => {
    const lines = ['Set-Cookie: sid=1; Path=/app']
    expect(added(lines, { insert: true, attributes: 'Secure' })).toEqual(['Set-Cookie: sticky=home; Path=/app'])
  })

  it('attributes do not matter without it', () => {
    expect(added(['A: 1'], { attributes: 'Secure' })).toEqual([])
    expect(added(['Set-Cookie: a=1'], { attributes: 'Secure' })).toEqual(['Set-Cookie: sticky=home'])
  })
})
