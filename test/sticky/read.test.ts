import { describe, expect, it } from 'vitest'
import { parseHead } from '../../src/parser/index.ts'
import { StickyCookie } from '../../src/sticky/cookie.ts'
import { requestOf } from './support.ts'

type Case = [what: string, fields: string[], value: string | undefined]

const PLACES: Case[] = [
  ['alone', ['sticky=a'], 'a'],
  ['first', ['sticky=a; x=1; y=2'], 'a'],
  ['in the middle', ['x=1; sticky=a; y=2'], 'a'],
  ['last', ['x=1; y=2; sticky=a'], 'a'],
  ['in the second Cookie field', ['x=1', 'sticky=a'], 'a'],
  ['in the first of two Cookie fields', ['x=1; sticky=a', 'y=2'], 'a'],
  ['no Cookie field', [], undefined],
  ['an empty Cookie field', [''], undefined],
  ['only others', ['x=1; y=2'], undefined],
  ['no space after the semicolon', ['x=1;sticky=a;y=2'], 'a'],
  ['blanks around everything', ['x=1 \t;\t sticky \t=\t a \t; y=2'], 'a'],
  ['empty pairs around it', ['; ;;sticky=a;;'], 'a'],
]

const OTHERS: Case[] = [
  ['a name that ends in the same letters', ['nonsticky=b'], undefined],
  ['a name that begins with the same letters', ['sticky2=b'], undefined],
  ['the name in another case', ['STICKY=b; Sticky=c'], undefined],
  ['such names before and after the right one', ['nonsticky=b; sticky2=c; sticky=a; STICKY=d; x-sticky=e'], 'a'],
  ['a name with a byte 0xA0 before it', ['\xa0sticky=b'], undefined],
  ['a name with a byte 0xA0 after it', ['sticky\xa0=b'], undefined],
  ['a name in quotes', ['"sticky"=b'], undefined],
  ['the name inside the value of another', ['x=sticky=b'], undefined],
  ['the name as the value of a cookie without a name', ['=sticky=b'], undefined],
  ["no '='", ['sticky'], undefined],
  ["no '=', then the right one", ['sticky; sticky=a'], 'a'],
  ['a comma, which does not separate cookies', ['x=1, sticky=b'], undefined],
  ['a semicolon in quotes, which separates cookies (RFC 6265 5.4)', ['x="1; sticky=a"'], 'a"'],
]

const VALUES: Case[] = [
  ['in quotes', ['sticky="a"'], 'a'],
  ['in quotes, with blanks around them', ['sticky= "a" ; x=1'], 'a'],
  ['blanks inside the quotes', ['sticky=" a "'], ' a '],
  ['one quote at the start', ['sticky="a'], '"a'],
  ['one quote at the end', ['sticky=a"'], 'a"'],
  ['only one quote', ['sticky="'], '"'],
  ['empty', ['sticky='], undefined],
  ['empty in quotes', ['sticky=""'], undefined],
  ['blank', ['sticky= \t '], undefined],
  ["with '=' in it", ['sticky=a=b=='], 'a=b=='],
  ['percent-encoded', ['sticky=a%20b%3B%3d%22%25'], 'a b;="%'],
  ['percent-encoded Unicode', ['sticky=%C3%A9%F0%9F%90%B4'], 'é🐴'],
  ["a '+', which is no space here", ['sticky=a+b'], 'a+b'],
  ['a percent sign alone', ['sticky=a%'], undefined],
  ['one hexadecimal digit', ['sticky=%4'], undefined],
  ['no hexadecimal digits', ['sticky=%zz'], undefined],
  ['a lone continuation byte', ['sticky=%80'], undefined],
  ['a cut sequence', ['sticky=%C3'], undefined],
  ['an overlong sequence', ['sticky=%C0%AF'], undefined],
  ['an encoded surrogate', ['sticky=%ED%A0%80'], undefined],
  ['obs-text, one character per byte', ['sticky=\xe9\xff'], '\xe9\xff'],
  ['the byte 0xA0 at its ends, which is not white space', ['sticky=\xa0a\xa0'], '\xa0a\xa0'],
]

const SEVERAL: Case[] = [
  ['two valid ones', ['sticky=a; sticky=b'], 'a'],
  ['an empty one first', ['sticky=; sticky=b'], 'b'],
  ['a malformed one first', ['sticky=%; sticky=b'], 'b'],
  ['a malformed one in an earlier field', ['sticky=%', 'x=1; sticky=b'], 'b'],
  ['no valid one', ['sticky=; sticky=%', 'sticky=""'], undefined],
]

describe.each([
  ['place', PLACES],
  ['other cookies', OTHERS],
  ['value', VALUES],
  ['several of the name', SEVERAL],
])('reading the cookie: %s', (_, cases) => {
  it.each(cases)('%s', (_, fields, value) => {
    const head = requestOf(...fields.map((field) => `Cookie: ${field}`))
    const before = head.bytes()
    expect(new StickyCookie({}).read(head)).toBe(value)
    expect(head.bytes()).toBe(before)
  })
})

describe('reading the cookie', () => {
  it('finds the Cookie field in any case of its name', () => {
    expect(new StickyCookie({}).read(requestOf('cOOKIE:sticky=a'))).toBe('a')
  })

  it('is not misled by another field with the cookie in it', () => {
    expect(new StickyCookie({}).read(requestOf('X-Cookie: sticky=a', 'Set-Cookie: sticky=a'))).toBeUndefined()
  })

  it.each(['__proto__', 'constructor', '$x', "!#$%&'*+-.^_`|~0"])('accepts the name %s', (name) => {
    const cookie = new StickyCookie({ name })
    expect(cookie.read(requestOf(`Cookie: sticky=b; x${name}=c; ${name}=a`))).toBe('a')
    expect(cookie.read(requestOf('Cookie: sticky=b'))).toBeUndefined()
  })

  it('finds none in the HTTP/2 preface, and does not change it', () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    const head = parseHead(preface, 'request')
    expect(new StickyCookie({ indirect: true }).read(head)).toBeUndefined()
    expect(head.bytes()).toEqual(preface)
  })
})
