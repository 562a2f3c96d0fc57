import { randomBytes, timingSafeEqual } from 'node:crypto'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { type CookieOptions, StickyCookie } from '../../src/sticky/cookie.ts'
import { report } from '../helpers/report.ts'
import { cookieFor, requestOf, responseOf } from './support.ts'

vi.mock('node:crypto', { spy: true })
afterEach(() => void vi.mocked(timingSafeEqual).mockRestore())

const BACKENDS = ['blue', 'green', '10.0.0.1:3000', 'a.b', 'é', '.']
const NAMES = ['sticky', 'other', 'stick', 'sticky2']
const SECRETS: CookieOptions['secret'][] = ['one', 'two', 'One', 'one\0', 'on', ['two', 'three']]

/** The cookie value of a backend, as a browser returns it. */
function signed(backend: string, options: CookieOptions = {}): string {
  const head = responseOf()
  new StickyCookie({ insert: true, secret: 'one', ...options }).write(head, backend)
  return cookieFor(head.get('set-cookie')!).replace(/^[^=]*=/, '')
}

const reader = new StickyCookie({ secret: 'one' })
const read = (value: string) => reader.read(requestOf(`Cookie: sticky=${value}`))

/** Bytes that may be in a Cookie field and do not end a value. */
const isCarried = (value: string) => /^[\x21\x23-\x3a\x3c-\x7e\x80-\xff]*$/.test(value)

const GENUINE = new Set(BACKENDS.map((backend) => signed(backend)))

/** All variants of a value that must be rejected. */
const FORGERIES: [what: string, make: (value: string) => string[]][] = [
  ['cut off at each length', (value) => Array.from(value, (_, i) => value.slice(0, i))],
  ['cut off before each length', (value) => Array.from(value.slice(1), (_, i) => value.slice(i + 1))],
  [
    'with something put in at each place',
    (value) =>
      [...value, ''].flatMap((_, i) =>
        ['A', '.', '=', '-', '%', '0'].map((by) => value.slice(0, i) + by + value.slice(i)),
      ),
  ],
  ['with each character left out', (value) => Array.from(value, (_, i) => value.slice(0, i) + value.slice(i + 1))],
  [
    'with two neighbours swapped',
    (value) => Array.from(value.slice(1), (_, i) => value.slice(0, i) + value[i + 1] + value[i] + value.slice(i + 2)),
  ],
  [
    'with each bit flipped',
    (value) =>
      Array.from(value, (char, i) =>
        Array.from(
          { length: 8 },
          (_, bit) => value.slice(0, i) + String.fromCharCode(char.charCodeAt(0) ^ (1 << bit)) + value.slice(i + 1),
        ),
      ).flat(),
  ],
  ['said twice', (value) => [value + value, `${value}.${value}`, `${value},${value}`]],
  [
    "with another's signature",
    (value) => [...GENUINE].map((other) => value.replace(/[^.]*$/, '') + other.replace(/^.*\./, '')),
  ],
  [
    'of another secret',
    (value) =>
      SECRETS.slice(1).map((secret) => signed(decodeURIComponent(value.replace(/\.[^.]*$/, '')), { secret: secret! })),
  ],
  [
    'of another cookie',
    (value) => NAMES.slice(1).map((name) => signed(decodeURIComponent(value.replace(/\.[^.]*$/, '')), { name })),
  ],
  ['in other texts of base64', (value) => aliases(value)],
]

/** Other texts that decode to the same bytes as the signature. */
function aliases(value: string): string[] {
  const [, text = '', signature = ''] = /^(.*)\.([^.]*)$/.exec(value)!
  const bytes = Buffer.from(signature, 'base64url')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = [...alphabet].map((char) => signature.slice(0, -1) + char)
  const others = [
    bytes.toString('base64'),
    `${signature}=`,
    `${signature}==`,
    bytes.toString('hex'),
    bytes.toString('latin1'),
  ]
  const twins = [...last.filter((one) => Buffer.from(one, 'base64url').equals(bytes)), ...others]
  return twins.map((twin) => `${text}.${twin}`)
}

describe('a forged signature is rejected', () => {
  let tried = 0
  afterAll(() => report('forged sticky cookies', `${tried} tried, 0 taken`))

  it.each(FORGERIES)('%s', (_, make) => {
    for (const backend of BACKENDS) {
      const value = signed(backend)
      expect(read(value)).toBe(backend)
      const forgeries = make(value).filter((forged) => isCarried(forged) && !GENUINE.has(forged))
      expect(forgeries).not.toEqual([])
      for (const forged of forgeries) expect(read(forged), forged).toBeUndefined()
      tried += forgeries.length
    }
  })

  it('with a signature made up', () => {
    for (const backend of BACKENDS) {
      for (let i = 0; i < 500; i++) {
        const made = [
          `${encodeURIComponent(backend)}.${randomBytes(32).toString('base64url')}`,
          randomBytes(40).toString('base64url'),
        ]
        for (const one of made) expect(read(one), one).toBeUndefined()
        tried += made.length
      }
    }
  })
})

describe('the comparison', () => {
  it.each(['set before', 'not known yet'])(
    'is timingSafeEqual of two digests of one length, of a value %s',
    (which) => {
      const cookie = new StickyCookie({ insert: true, secret: ['one', 'two'] })
      if (which === 'set before') cookie.write(responseOf(), 'blue')
      const tries = [signed('blue'), signed('blue').replace(/.$/, '!'), signed('green').replace(/.*\./, 'blue.')]
      for (const [i, value] of tries.entries()) {
        vi.mocked(timingSafeEqual).mockClear()
        expect(cookie.read(requestOf(`Cookie: sticky=${value}`))).toBe(i === 0 ? 'blue' : undefined)
        expect(timingSafeEqual).toHaveBeenCalled()
        for (const [a, b] of vi.mocked(timingSafeEqual).mock.calls)
          expect([a.byteLength, b.byteLength]).toEqual([43, 43])
      }
    },
  )

  it('alone decides', () => {
    const forged = `blue.${'A'.repeat(43)}`
    expect([read(signed('blue')), read(forged)]).toEqual(['blue', undefined])
    vi.mocked(timingSafeEqual).mockReturnValue(false)
    expect([read(signed('blue')), read(forged)]).toEqual([undefined, undefined])
    vi.mocked(timingSafeEqual).mockReturnValue(true)
    expect([read(signed('blue')), read(forged)]).toEqual(['blue', 'blue'])
  })
})
