import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Forwarded } from '../../../src/cli/service/forwarded.ts'
import { type Dest, type Head, parseHead } from '../../../src/index.ts'
import { isStickyValue, StickyCookie } from '../../../src/sticky/cookie.ts'
import { connect, deadPort } from '../../helpers/net.ts'
import { startProxy } from '../../helpers/proxy.ts'
import { requestOf, responseOf } from '../../sticky/support.ts'

/** Characters that end a line, field, cookie, attribute or quote, and characters beyond a byte. */
const HOSTILE = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\n\r',
    '\0',
    '\x0b',
    '\x0c',
    '\x1b',
    '\x7f',
    '\x85',
    '\xa0',
    '\xff',
    '\u0100',
    '\u010a',
    '\u2028',
  ],
  ...[
    '\u560d\u560a',
    '\u{1f600}',
    '\ud800',
    '\udc00',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '=',
    '"',
    "'",
    '\\',
    '#',
    '%',
    '%0d%0a',
  ],
  ...['\r\nX-Evil: 1', '\nX-Evil: 1', '\rX-Evil: 1', '\r\n\r\nGET /evil HTTP/1.1\r\n', '\r\n folded', '; X-Evil=1'],
  ...[', X-Evil=1', '" X-Evil="1', '\0X-Evil: 1', ': X-Evil', ' HTTP/1.1\r\nX-Evil: 1\r\nA: ', '\ud800\r\nX-Evil: 1'],
]
/** Alone, and at each place in a word. */
const TEXTS = HOSTILE.flatMap((text) => [text, `${text}word`, `wo${text}rd`, `word${text}`])

/** `harmless` is a text that is accepted. */
type Way = [what: string, write: (text: string) => Head, harmless?: string]

const edited = (head: Head, edit: (head: Head) => unknown): Head => {
  edit(head)
  return head
}
const request = () => requestOf('X-A: 1', 'X-A: 2', 'X-B: 3')
const response = () => responseOf('Set-Cookie: theirs=1; Path=/', 'X-B: 3')
const onRequest = (edit: (head: Head) => unknown) => edited(request(), edit)
const onResponse = (edit: (head: Head) => unknown) => edited(response(), edit)

const HEADS: Way[] = [
  ['head.first, as a whole', (text) => onRequest((head) => Object.assign(head, { first: text })), 'PUT /a HTTP/1.0'],
  ['the method', (text) => onRequest((head) => Object.assign(head, { first: `${text} / HTTP/1.1` }))],
  ['the target', (text) => onRequest((head) => Object.assign(head, { first: `GET /${text} HTTP/1.1` }))],
  ['the version', (text) => onRequest((head) => Object.assign(head, { first: `GET / HTTP/1${text}` })), '.0'],
  ['the reason phrase', (text) => onResponse((head) => Object.assign(head, { first: `HTTP/1.1 200 ${text}` }))],
  ['set: a value', (text) => onRequest((head) => head.set('X-A', text))],
  ['set: a value of several', (text) => onRequest((head) => head.set('X-New', ['fine', text]))],
  ['set: a name', (text) => onRequest((head) => head.set(text, 'fine'))],
  ['append: a value', (text) => onRequest((head) => head.append('X-A', text))],
  ['append: a name', (text) => onRequest((head) => head.append(text, 'fine'))],
  ['head.headers: a value', (text) => onRequest((head) => Object.assign(head.headers, { 'X-B': text }))],
  ['head.headers: values', (text) => onRequest((head) => Object.assign(head.headers, { 'X-A': [text, text] }))],
  ['head.headers: a name', (text) => onRequest((head) => Object.assign(head.headers, { [text]: 'fine' }))],
  ['delete: a name', (text) => onRequest((head) => head.delete(text))],
]

/** Only bytes that a received field can have. */
const asField = (text: string) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '\xe9')
const sticky = (options: ConstructorParameters<typeof StickyCookie>[0], value: string, head = response()) =>
  edited(head, () => new StickyCookie(options).write(head, value))
const client = (remoteAddress: string) => ({ transport: 'tcp' as const, remoteAddress, encrypted: false })

const COOKIES: Way[] = [
  ['the sticky value', (text) => sticky({}, text)],
  ['the sticky value, signed', (text) => sticky({ secret: 'key' }, text)],
  ["the cookie's name", (text) => sticky({ name: text }, 'home')],
  ["the cookie's attributes", (text) => sticky({ insert: true, attributes: text }, 'home', responseOf('X-B: 3'))],
  [
    "the cookie's attributes, one of them",
    (text) => sticky({ insert: true, attributes: `Path=/${text}` }, 'home', responseOf('X-B: 3')),
  ],
  ["the application's cookie", (text) => sticky({}, 'home', responseOf(`Set-Cookie: ${asField(text)}; Path=/`))],
  ["the application's scope", (text) => sticky({}, 'home', responseOf(`Set-Cookie: a=b; Path=/${asField(text)}`))],
  [
    'the cookies beside one that is hidden',
    (text) =>
      edited(requestOf(`Cookie: a${asField(text)}=b; sticky=x; ${asField(text)}`), (head) =>
        new StickyCookie({ indirect: true }).read(head),
      ),
  ],
]

const FORWARDED: Way[] = [
  [
    'X-Forwarded-For of a trusted peer',
    (text) =>
      edited(requestOf(`X-Forwarded-For: ${asField(text)}`), (head) =>
        new Forwarded(['1.2.3.4']).write(head, client('1.2.3.4')),
      ),
  ],
  [
    'X-Forwarded-Host of a trusted peer',
    (text) =>
      edited(requestOf(`X-Forwarded-Host: ${asField(text)}`), (head) =>
        new Forwarded(['1.2.3.4']).write(head, client('1.2.3.4')),
      ),
  ],
  [
    'Connection, where the name of a field that was written is taken out of it',
    (text) => {
      const head = edited(responseOf(`Connection: X-B, ${asField(text)}`, 'X-B: 3'), (one) => one.set('X-B', '4'))
      return parseHead(head.bytes(), 'response')
    },
  ],
  ["a peer's address", (text) => edited(request(), (head) => new Forwarded([]).write(head, client(text)))],
]

describe('a text is refused where it is set, or stays one text', () => {
  test.for([...HEADS, ...COOKIES, ...FORWARDED])('%s', ([, write, harmless = 'word']) => {
    expect(() => write(harmless)).not.toThrow()
    for (const text of TEXTS) {
      let head: Head
      try {
        head = write(text)
      } catch (error) {
        // encodeURIComponent throws this on a lone surrogate. createStickyServer calls isStickyValue first.
        expect([TypeError, URIError], inspect(text)).toContain((error as Error).constructor)
        continue
      }
      const bytes = head.bytes().toString('latin1')
      // A stray CR, LF or colon would make another head.
      const again = parseHead(Buffer.from(bytes, 'latin1'), head.kind)
      expect([...again], inspect(text)).toEqual([...head])
      expect(bytes, inspect(text)).not.toMatch(/\r(?!\n)|(?<!\r)\n|\0|[\r\n]X-Evil|[\r\n]GET \/evil/)
      expect(again.headers['X-Evil'], inspect(text)).toBeUndefined()
    }
  })
})

describe('a cookie stays one cookie', () => {
  test.for(COOKIES.slice(0, 2))('%s', ([, write]) => {
    for (const text of TEXTS.filter(isStickyValue)) {
      const [, ours = ''] = write(text).getAll('set-cookie')
      expect(ours, inspect(text)).toMatch(/^sticky=[\w.!~*'()%-]*; Path=\/$/)
    }
  })
})

describe('an answer of badass contains nothing of the request', () => {
  const MARK = 'm4rk'
  const asRequest = (text: string) => [
    `GET /${MARK}${text} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `${MARK}${text} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${MARK}${text}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\n${MARK}${text}: 1\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${MARK}${text}\r\n\r\n`,
  ]

  test.for([
    ['no destination', false],
    ['a dead one', true],
  ] as const)('%s', async ([, isDead]) => {
    const dest: Dest | undefined = isDead ? { port: await deadPort(), host: '127.0.0.1' } : undefined
    const { port } = await startProxy(() => dest)
    const requests = HOSTILE.filter((text) => !/[^\0-\xff]/.test(text)).flatMap(asRequest)
    await Promise.all(
      requests.map(async (text) => {
        const peer = await connect(port)
        peer.end(text)
        const answer = await peer.ended()
        expect(answer, inspect(text)).toMatch(/^HTTP\/1\.1 (?:400|50[23]) /)
        expect(answer, inspect(text)).not.toMatch(/m4rk|evil/i)
      }),
    )
  })
})
