import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StickyCookie } from '../../src/sticky/cookie.ts'
import { linesOf, requestOf } from './support.ts'

const cookie = new StickyCookie({ indirect: true })

describe('indirect removes the cookie from the request', () => {
  it.each([
    ['first', 'sticky=a; x=1; y=2', 'x=1; y=2'],
    ['in the middle', 'x=1; sticky=a; y=2', 'x=1; y=2'],
    ['last', 'x=1; y=2; sticky=a', 'x=1; y=2'],
    ['twice', 'sticky=a; x=1; sticky=b', 'x=1'],
    ['with a value that is not right', 'x=1; sticky=%; sticky=', 'x=1'],
    ['beside names that are like it', 'nonsticky=b; sticky=a; sticky2=c; STICKY=d', 'nonsticky=b; sticky2=c; STICKY=d'],
    ['between odd spaces, which stay', 'x=1 ;sticky=a;  y = 2 ;', 'x=1 ;  y = 2 ;'],
    ['before quotes and obs-text, which stay', 'sticky=a; x="\xe9 1"; \xa0; y=%41', 'x="\xe9 1"; \xa0; y=%41'],
    ["beside one of the name without '='", 'sticky; sticky=a', 'sticky'],
    ['beside a byte 0xA0 that is no white space', 'sticky=a; \xa0', '\xa0'],
  ])('%s', (_, before, after) => {
    const head = requestOf('A: 1', `Cookie: ${before}`, 'B:2')
    cookie.read(head)
    expect(linesOf(head)).toEqual(['Host: a.test', 'A: 1', `Cookie: ${after}`, 'B:2'])
  })

  it.each(['sticky=a', 'sticky="a" ', ' ;sticky=a; ;', 'sticky=a; sticky=b', 'sticky=%'])(
    'the Cookie field goes with it where it was alone: %j',
    (field) => {
      const head = requestOf('A: 1', `Cookie: ${field}`, 'B: 2')
      cookie.read(head)
      expect(linesOf(head)).toEqual(['Host: a.test', 'A: 1', 'B: 2'])
    },
  )

  it('in every Cookie field, and removes a field that had no other cookie', () => {
    const head = requestOf('Cookie: x=1; sticky=a', 'Cookie: sticky=b', 'Cookie: y=2')
    expect(cookie.read(head)).toBe('a')
    expect(linesOf(head)).toEqual(['Host: a.test', 'Cookie: x=1', 'Cookie: y=2'])
  })

  it('and keeps an empty Cookie field without it', () => {
    const head = requestOf('Cookie: ', 'Cookie: sticky=a')
    cookie.read(head)
    expect(linesOf(head)).toEqual(['Host: a.test', 'Cookie: '])
  })

  it.each([
    [[]],
    [['Cookie: ']],
    [['Cookie:x=1;;  sticky2=a ; ', 'cookie: nonsticky=b']],
    [['Cookie: sticky']],
    [['Cookie: x=sticky=a']],
  ])('a head without the cookie does not change: %j', (lines) => {
    const head = requestOf(...lines)
    const before = head.bytes()
    expect(cookie.read(head)).toBeUndefined()
    expect(head.bytes()).toBe(before)
  })

  it('and without indirect the head does not change', () => {
    const head = requestOf('Cookie:x=1;sticky=a')
    const before = head.bytes()
    expect(new StickyCookie({}).read(head)).toBe('a')
    expect(head.bytes()).toBe(before)
  })

  it('property: keeps every other cookie byte for byte and in order', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab"%= \t\xa0\xe9\xff'), maxLength: 6 })
    const other = text.filter((pair) => !/^[ \t]*sticky[ \t]*=/.test(pair))
    const ours = fc.constantFrom('sticky=a', ' sticky = b', 'sticky=', 'sticky=%')
    const field = fc.array(fc.oneof(other, ours), { minLength: 1, maxLength: 6 })
    const isOurs = (pair: string) => /^[ \t]*sticky[ \t]*=/.test(pair)
    const isBlank = (pair: string) => /^[ \t]*$/.test(pair)
    fc.assert(
      fc.property(fc.array(field, { maxLength: 3 }), (fields) => {
        const head = requestOf(...fields.map((pairs) => `Cookie: ${pairs.join(';')}`))
        cookie.read(head)
        const expected = fields
          .map((pairs) => ({ kept: pairs.filter((pair) => !isOurs(pair)), all: pairs }))
          .filter(({ kept, all }) => kept.length === all.length || !kept.every(isBlank))
          .map(({ kept }) => kept.join(';').replace(/^[ \t]+|[ \t]+$/g, ''))
        expect(head.getAll('cookie')).toEqual(expected)
      }),
    )
  })
})
