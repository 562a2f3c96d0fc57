import fc from 'fast-check'
import { expect } from 'vitest'
import { parseHead } from '../../../src/parser/index.ts'
import { isStickyValue, StickyCookie } from '../../../src/sticky/cookie.ts'
import { lifeOf, parseCookieDate } from '../../../src/sticky/set-cookie.ts'
import { cookieFor, requestOf, responseOf } from '../../sticky/support.ts'
import { hostileText, nearly, type Target } from './target.ts'

export interface CookieInput {
  name: string
  secret: string
  value: string
  /** The application's Set-Cookie. */
  theirs: string
  /** A change to the cookie before the client sends it back. */
  changes: ['replace' | 'insert' | 'remove', number, string][]
  /** The client's other cookies. */
  others: string
}

export type Cookie = Pick<StickyCookie, 'read' | 'write'>

const ATTRIBUTES = [
  '; Path=/',
  '; Max-Age=0',
  '; Max-Age=-',
  '; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
  '; Secure',
  ';',
  '; =',
]
/** Removes bytes that a field cannot have. */
const fieldValue = (text: fc.Arbitrary<string>) => text.map((one) => one.replace(/[^\t\x20-\x7e\x80-\xff]/g, '\xe9'))
const theirs = fieldValue(
  fc
    .tuple(hostileText, fc.array(nearly(fc.constantFrom(...ATTRIBUTES), 1)))
    .map(([pair, scope]) => pair + scope.join('')),
)
const others = fieldValue(
  nearly(fc.constantFrom('', 'a=1; b=2', 'sticky=a', 'sticky="a.b"; sticky=%', '; ;=;sticky;'), 3),
)

/** Checks that any sticky value reads back, and that with a secret no forged value does. */
export const cookieTarget = (
  make: (options: { name: string; secret: string; insert: true }) => Cookie = (options) => new StickyCookie(options),
): Target<CookieInput> => ({
  arbitrary: fc.record({
    name: fc.constantFrom('sticky', '__proto__', 'x'),
    secret: fc.string({ minLength: 1, maxLength: 8 }),
    value: fc.oneof(fc.constantFrom('home', '10.0.0.1:80', '.', '%'), hostileText),
    theirs,
    changes: fc.array(
      fc.tuple(fc.constantFrom('replace', 'insert', 'remove'), fc.nat(), fc.constantFrom(...'aZ0-_+/=.%; "\xe9')),
      { maxLength: 2 },
    ),
    others,
  }),
  check({ name, secret, value, theirs, changes, others }) {
    lifeOf(theirs)
    new StickyCookie({ name: `__Host-${name}` }).write(responseOf(`Set-Cookie: ${theirs}`), 'home')
    parseCookieDate(theirs)
    if (!isStickyValue(value)) return
    const cookie = make({ name, secret, insert: true })
    const response = responseOf(`Set-Cookie: ${theirs}`, 'A: 1')
    const before = [...response]
    cookie.write(response, value)
    const fields = [...parseHead(response.bytes(), 'response')]
    expect(fields.slice(0, -1)).toEqual(before)
    const pair = cookieFor(fields.at(-1)![1])

    const brought = changes.reduce((text, [how, place, by]) => {
      const at = place % text.length
      return text.slice(0, at) + (how === 'remove' ? '' : by) + text.slice(how === 'insert' ? at : at + 1)
    }, pair)
    const isOurs = `${others}; ${brought}`.split(';').some((one) => isSame(trim(one), pair))
    const read = cookie.read(requestOf(`Cookie: ${others}; ${brought}`))
    expect(read).toBe(isOurs && value !== '' ? value : undefined)
  },
})

const trim = (text: string) => text.replace(/^[\t ]+|[\t ]+$/g, '')

/** Whether a cookie is the one that was set. Ignores quotes around the value and white space around '='. */
function isSame(given: string, pair: string): boolean {
  const [name = '', ...rest] = given.split('=')
  const value = trim(rest.join('='))
  return `${trim(name)}=${/^".*"$/s.test(value) && value.length > 1 ? value.slice(1, -1) : value}` === pair
}
