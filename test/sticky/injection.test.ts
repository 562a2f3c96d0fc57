import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Head, parseHead } from '../../src/parser/index.ts'
import { StickyCookie } from '../../src/sticky/cookie.ts'
import { cookieFor, responseOf } from './support.ts'

const NASTY = [
  '\r\nX: y',
  '\n',
  '\r',
  '\0',
  ';',
  '; Max-Age=0',
  '=',
  '"',
  ',',
  ' ',
  '\t',
  '\x7f',
  '\u2028',
  'é',
  '\u{10ffff}',
]

/** The fields as the next parser reads them. */
function reread(head: Head): [name: string, value: string][] {
  return [...parseHead(head.bytes(), 'response')]
}

describe('header injection', () => {
  it.each(NASTY)('a value %j does not end the field or the cookie', (value) => {
    const head = responseOf('Set-Cookie: sid=1; Path=/', 'A: 1')
    new StickyCookie({}).write(head, value)
    expect(reread(head)).toEqual([
      ['Set-Cookie', 'sid=1; Path=/'],
      ['A', '1'],
      ['Set-Cookie', `sticky=${encodeURIComponent(value)}; Path=/`],
    ])
  })

  it('property: any value adds one field at the end with one cookie', () => {
    const value = fc
      .array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary' })))
      .map((parts) => parts.join(''))
    const secret = fc.option(fc.string({ minLength: 1 }), { nil: undefined })
    const theirs = fc.string({ unit: fc.constantFrom(...'sid=1; Path/"\t\xa0\xe9,'), maxLength: 30 })
    fc.assert(
      fc.property(value, secret, theirs, (value, secret, theirs) => {
        const head = responseOf(`Set-Cookie: ${theirs}`, 'A: 1')
        const before = [...head]
        new StickyCookie(secret === undefined ? {} : { secret }).write(head, value)
        const fields = reread(head)
        expect(fields.slice(0, -1)).toEqual(before)
        const [name, line] = fields.at(-1)!
        expect(name).toBe('Set-Cookie')
        expect(cookieFor(line)).toMatch(/^sticky=[\w.!~*'()%-]*$/)
      }),
    )
  })

  it('property: attributes and names are refused, or make one valid field', () => {
    const text = fc.array(
      fc.oneof(fc.constantFrom(...NASTY, 'Secure', 'Path=/', 'sticky'), fc.string({ maxLength: 3 })),
      { maxLength: 4 },
    )
    let taken = 0
    fc.assert(
      fc.property(text, text, fc.boolean(), (names, parts, isName) => {
        const name = isName ? names.join('') : 'sticky'
        const attributes = parts.join('')
        let cookie: StickyCookie
        try {
          cookie = new StickyCookie({ name, attributes, insert: true })
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        taken++
        const head = responseOf('A: 1')
        cookie.write(head, 'home')
        expect(reread(head)).toEqual([
          ['A', '1'],
          ['Set-Cookie', attributes === '' ? `${name}=home` : `${name}=home; ${attributes.replace(/ +$/, '')}`],
        ])
      }),
      { numRuns: 500 },
    )
    expect(taken).toBeGreaterThan(0)
  })
})
