import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CookieOptions, StickyCookie } from '../../src/sticky/cookie.ts'
import { cookieFor, requestOf, responseOf } from './support.ts'

type Secret = CookieOptions['secret']

/** The cookie that a browser returns for the value: `name=text`. */
function written(value: string, options: CookieOptions): string {
  const head = responseOf()
  new StickyCookie({ insert: true, ...options }).write(head, value)
  return cookieFor(head.get('set-cookie')!)
}

function read(pair: string, options: CookieOptions): string | undefined {
  return new StickyCookie(options).read(requestOf(`Cookie: ${pair}`))
}

/** Reads with one secret what was signed with the other. */
const passes = (signedWith: Secret, readWith: Secret) =>
  read(written('home', { secret: signedWith! }), { secret: readWith! }) === 'home'

const SIGNED = written('home', { secret: 'key' })
const [TEXT, SIGNATURE] = SIGNED.slice('sticky='.length).split('.') as [string, string]
const readSigned = (value: string) => read(`sticky=${value}`, { secret: 'key' })

const withEighthBit = (text: string) => String.fromCharCode(text.charCodeAt(0) | 0x80) + text.slice(1)

describe('the signature', () => {
  // Made with openssl dgst -sha256 over 'sticky=a%20b'.
  it.each<[what: string, secret: Secret, signature: string]>([
    ['a string', 'old secret', '5UBkB0MIgwFTGIxBLny9TqztegKpMNMIR1fGNE70m5Y'],
    ['bytes', Uint8Array.of(0x00, 0xff, 0x10), 'C9tMJH5mkuxorY8anuKc4wx5n1fE3AiKNEt8zrncWAc'],
  ])('is the HMAC-SHA256 of name and text, in base64url: %s', (_, secret, signature) => {
    expect(written('a b', { secret: secret! })).toBe(`sticky=a%20b.${signature}`)
    expect(read(`sticky=a%20b.${signature}`, { secret: secret! })).toBe('a b')
  })

  it('is part of the value without a secret', () => {
    expect(written('home', {})).toBe('sticky=home')
    expect(read(SIGNED, {})).toBe(`home.${SIGNATURE}`)
  })

  it.each<[what: string, secret: Secret]>([
    ['a string', 'key'],
    ['a Buffer', Buffer.from('key')],
    ['a Uint8Array', new Uint8Array(Buffer.from('key'))],
    ['a list', ['key']],
  ])('is the same for a string and its bytes: %s', (_, secret) => {
    expect(written('home', { secret: secret! })).toBe(SIGNED)
    expect(read(SIGNED, { secret: secret! })).toBe('home')
  })

  it('is the same in quotes', () => {
    expect(readSigned(`"${TEXT}.${SIGNATURE}"`)).toBe('home')
  })
})

describe('cached signatures', () => {
  const set = (cookie: StickyCookie, value: string) => {
    const head = responseOf()
    cookie.write(head, value)
    return cookieFor(head.get('set-cookie')!)
  }
  const readBy = (cookie: StickyCookie, pair: string) => cookie.read(requestOf(`Cookie: ${pair}`))

  it('equal new ones, for any number of values', () => {
    const cookie = new StickyCookie({ insert: true, secret: 'key' })
    const values = Array.from({ length: 2_500 }, (_, i) => `home ${i % 1_250}`)
    for (const value of values) expect(set(cookie, value)).toBe(written(value, { secret: 'key' }))
    for (const value of values) expect(readBy(cookie, written(value, { secret: 'key' }))).toBe(value)
  })

  it('accept no other signature of the same value, and those of every secret', () => {
    const cookie = new StickyCookie({ insert: true, secret: ['new', 'old'] })
    set(cookie, 'home')
    expect(readBy(cookie, written('home', { secret: 'old' }))).toBe('home')
    expect(readBy(cookie, written('home', { secret: 'new' }))).toBe('home')
    expect(readBy(cookie, written('home', { secret: 'foreign' }))).toBeUndefined()
    expect(readBy(cookie, written('home', { secret: 'new' }).replace('home', 'away'))).toBeUndefined()
  })
})

describe('rotation', () => {
  it('the first of a list signs', () => {
    expect(written('home', { secret: ['new', 'old'] })).toBe(written('home', { secret: 'new' }))
  })

  it.each<[what: string, signedWith: Secret, readWith: Secret, passes: boolean]>([
    ['an old value under a list with the old secret', 'old', ['new', 'old'], true],
    ['a new value under the same list', 'new', ['new', 'old'], true],
    ['a value of the oldest secret', 'oldest', ['new', Buffer.from('old'), 'oldest'], true],
    ['an old value after the old secret was removed', 'old', ['new'], false],
    ['a new value with the old secret only', ['new', 'old'], 'old', false],
    ['a value of a foreign secret', 'foreign', ['new', 'old'], false],
  ])('%s', (_, signedWith, readWith, expected) => {
    expect(passes(signedWith, readWith)).toBe(expected)
  })

  it('later changes to the list or its bytes have no effect', () => {
    const bytes = Buffer.from('key')
    const secret = [bytes]
    const cookie = new StickyCookie({ secret })
    bytes.fill(0)
    secret.length = 0
    expect(cookie.read(requestOf(`Cookie: ${SIGNED}`))).toBe('home')
    expect(cookie.read(requestOf('Cookie: sticky=home'))).toBeUndefined()
  })
})

describe('values without our signature are ignored', () => {
  it.each([
    ['nothing', ''],
    ['no signature', TEXT],
    ['an empty signature', `${TEXT}.`],
    ['a signature and no value', `.${SIGNATURE}`],
    ['a dot', '.'],
    ['the signature alone', SIGNATURE],
    ['another value', `away.${SIGNATURE}`],
    ['the value in another case', `HOME.${SIGNATURE}`],
    ['the value encoded in another way', `%68ome.${SIGNATURE}`],
    ['more before the value', `x${TEXT}.${SIGNATURE}`],
    ['more after the value', `${TEXT}x.${SIGNATURE}`],
    ['a value with a dot', `${TEXT}.x.${SIGNATURE}`],
    ['a truncated signature', `${TEXT}.${SIGNATURE.slice(0, -1)}`],
    ['an extended signature', `${TEXT}.${SIGNATURE}A`],
    ['padding', `${TEXT}.${SIGNATURE}=`],
    ['the signature twice', `${TEXT}.${SIGNATURE}.${SIGNATURE}`],
    ['the signature in hexadecimal', `${TEXT}.${Buffer.from(SIGNATURE, 'base64url').toString('hex')}`],
    ['a quote at the start', `"${TEXT}.${SIGNATURE}`],
    ['quotes around the value alone', `"${TEXT}".${SIGNATURE}`],
    ['obs-text for a signature of the right length', `${TEXT}.${'\xe9'.repeat(43)}`],
    ['the eighth bit set in the signature', `${TEXT}.${withEighthBit(SIGNATURE)}`],
    ['the eighth bit set in the value', `${withEighthBit(TEXT)}.${SIGNATURE}`],
  ])('%s', (_, value) => {
    expect(readSigned(`${TEXT}.${SIGNATURE}`)).toBe('home')
    expect(readSigned(value)).toBeUndefined()
  })

  it('the same signature under another name', () => {
    const other = written('home', { name: 'other', secret: 'key' }).slice('other='.length)
    expect(readSigned(other)).toBeUndefined()
    expect(read(SIGNED.replace('sticky', 'other'), { name: 'other', secret: 'key' })).toBeUndefined()
  })

  it('a signature in the alphabet of base64', () => {
    // At least one of these values has a signature with `-` or `_`.
    const values = Array.from({ length: 20 }, (_, i) => written(`home${i}`, { secret: 'key' }).slice('sticky='.length))
    const changed = values.filter((value) => /[-_]/.test(value))
    expect(changed).not.toEqual([])
    for (const value of changed) {
      expect(readSigned(value.replaceAll('-', '+').replaceAll('_', '/'))).toBeUndefined()
    }
  })

  it('another text of base64url for the same bytes', () => {
    const bytes = Buffer.from(SIGNATURE, 'base64url')
    const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
    const twins = alphabet
      .map((last) => SIGNATURE.slice(0, -1) + last)
      .filter((text) => text !== SIGNATURE && Buffer.from(text, 'base64url').equals(bytes))
    expect(twins).toHaveLength(3)
    for (const twin of twins) expect(readSigned(`${TEXT}.${twin}`)).toBeUndefined()
  })

  it('the first signed cookie of several counts', () => {
    const forged = `sticky=away; sticky=away.${SIGNATURE}`
    expect(read(`${forged}; ${SIGNED}`, { secret: 'key' })).toBe('home')
    expect(read(`${forged}; sticky=%`, { secret: 'key' })).toBeUndefined()
  })
})

describe('round trips', () => {
  const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 })
  const secret = fc.oneof(fc.string({ minLength: 1 }), bytes, fc.array(bytes, { minLength: 1, maxLength: 3 }))
  const options = fc.record({ secret, name: fc.constantFrom('sticky', 'x') }, { requiredKeys: ['name'] })
  const others = fc.array(fc.constantFrom('a=1', 'nonsticky=2', 'STICKY=3', 'xx=4', '=5', '6', ' ', 'sticky', 'x'))

  it.each(['10.0.0.1:8080', '[::1]:80', '/run/a b.sock', '.', '..', 'a.', '"', '%', '%41', 'a=b; c', ' ', 'é🐴'])(
    'the value %j comes back through a browser',
    (value) => {
      expect(read(written(value, {}), {})).toBe(value)
      expect(read(written(value, { secret: 'key' }), { secret: 'key' })).toBe(value)
    },
  )

  it('property: any value comes back through a browser, among other cookies', () => {
    fc.assert(
      fc.property(value, options, others, others, fc.boolean(), (value, options, before, after, isQuoted) => {
        const pair = written(value, options)
        expect(pair).toMatch(/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/) // cookie-octet (RFC 6265 4.1.1)
        const brought = isQuoted ? pair.replace(/=(.*)$/, '="$1"') : pair
        expect(read([...before, brought, ...after].join('; '), options)).toBe(value)
      }),
    )
  })

  it('property: a signed value with one changed byte is refused', () => {
    const byte = fc.integer({ min: 0x20, max: 0xff }).filter((byte) => byte !== 0x7f)
    const change = fc.constantFrom<'replace' | 'insert' | 'remove'>('replace', 'insert', 'remove')
    fc.assert(
      fc.property(value, bytes, fc.nat(), byte, change, (value, secret, at, byte, change) => {
        const signed = written(value, { secret }).slice('sticky='.length)
        const i = at % (signed.length + (change === 'insert' ? 1 : 0))
        const character = change === 'remove' ? '' : String.fromCharCode(byte)
        const changed = signed.slice(0, i) + character + signed.slice(change === 'insert' ? i : i + 1)
        // A trailing blank or semicolon is not part of a cookie value.
        const isSame = cookieFor(changed) === signed
        expect(read(`sticky=${changed}`, { secret })).toBe(isSame ? value : undefined)
      }),
      { numRuns: 1000 },
    )
  })
})
