import { describe, expect, it } from 'vitest'
import { ProxyServer } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'

const lookup = () => undefined
const make = createStickyServer as (...values: unknown[]) => unknown

const NAME = 'a token (RFC 6265 4.1.1)'
const SECRET = 'a string or bytes, not empty, or a list of them'
const ATTRIBUTES = "cookie attributes, as in 'Path=/; Secure'"
const LIMITS =
  'maxHeadBytes, maxFields, headTimeout, responseHeadTimeout, connectTimeout, idleTimeout, halfCloseTimeout, ' +
  'lenientResponses, noDelay, keepAlive, keepAliveInitialDelay, proxyProtocol'

function refused(value: unknown[], message: string): void {
  let error: unknown
  try {
    make(...value)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(TypeError)
  expect((error as TypeError).message).toBe(message)
}

describe('the arguments', () => {
  it.each<[what: string, values: unknown[], message: string]>([
    ['no lookup', [], 'lookup: got undefined; takes a function'],
    ['the options in place of lookup', [{}], 'lookup: got {}; takes a function'],
    ['the options in place of errback', [lookup, {}], 'errback: got {}; takes a function'],
    ['an errback of false', [lookup, false], 'errback: got false; takes a function'],
    ['no object', [lookup, undefined, null], 'options: got null; takes an object'],
    ['a number', [lookup, undefined, 5], 'options: got 5; takes an object'],
    ['a list', [lookup, undefined, []], 'options: got []; takes an object'],
    ['a hook', [lookup, lookup, lookup], 'options: got [Function: lookup]; takes an object'],
  ])('%s', (_, values, message) => refused(values, message))
})

describe('the options', () => {
  it.each<[what: string, options: object, message: string]>([
    ['unknown', { coookie: {} }, `coookie: is no option; takes modify, ${LIMITS}, cookie`],
    ['a lookup beside lookup', { lookup }, `lookup: is no option; takes modify, ${LIMITS}, cookie`],
    ['an errback, which is an argument', { errback: lookup }, `errback: is no option; takes modify, ${LIMITS}, cookie`],
    ['a cookie option', { insert: true }, `insert: is no option; takes modify, ${LIMITS}, cookie`],
    ['modify', { modify: true }, 'modify: got true; takes a function'],
    ['a limit', { maxFields: 0 }, 'maxFields: got 0; takes an integer from 1 to 1048576'],
    ['a flag', { noDelay: 1 }, 'noDelay: got 1; takes true or false'],
    ['cookie is null', { cookie: null }, 'cookie: got null; takes an object'],
    ['cookie is a name', { cookie: 'sticky' }, "cookie: got 'sticky'; takes an object"],
    ['cookie is a list', { cookie: [] }, 'cookie: got []; takes an object'],
  ])('%s', (_, options, message) => refused([lookup, undefined, options], message))
})

describe('the cookie options', () => {
  it.each<[option: string, value: unknown, message: string]>([
    ['sercet', 'x', 'cookie.sercet: is no option; takes name, insert, indirect, secret, attributes'],
    ['insert', 'yes', "cookie.insert: got 'yes'; takes true or false"],
    ['insert', null, 'cookie.insert: got null; takes true or false'],
    ['indirect', 1, 'cookie.indirect: got 1; takes true or false'],
    ['name', '', `cookie.name: got ''; takes ${NAME}`],
    ['name', null, `cookie.name: got null; takes ${NAME}`],
    ['name', 'a b', `cookie.name: got 'a b'; takes ${NAME}`],
    ['name', 'a=b', `cookie.name: got 'a=b'; takes ${NAME}`],
    ['name', 'a;b', `cookie.name: got 'a;b'; takes ${NAME}`],
    ['name', 'é', `cookie.name: got 'é'; takes ${NAME}`],
    ['name', 'a\n', `cookie.name: got 'a\\n'; takes ${NAME}`],
    ['name', 'a\r\nb: c', `cookie.name: got 'a\\r\\nb: c'; takes ${NAME}`],
    ['secret', '', `cookie.secret: got ''; takes ${SECRET}`],
    ['secret', null, `cookie.secret: got null; takes ${SECRET}`],
    ['secret', 5, `cookie.secret: got (hidden number); takes ${SECRET}`],
    ['secret', Buffer.alloc(0), `cookie.secret: got (hidden object); takes ${SECRET}`],
    ['secret', [], `cookie.secret: got []; takes ${SECRET}`],
    ['secret', ['a', ''], `cookie.secret: got [(hidden string), '']; takes ${SECRET}`],
    ['secret', ['a', undefined], `cookie.secret: got [(hidden string), undefined]; takes ${SECRET}`],
    ['secret', new Array(1), `cookie.secret: got [undefined]; takes ${SECRET}`],
    ['secret', [['a']], `cookie.secret: got [[(hidden string)]]; takes ${SECRET}`],
    ['attributes', null, `cookie.attributes: got null; takes ${ATTRIBUTES}`],
    ['attributes', ['Secure'], `cookie.attributes: got [ 'Secure' ]; takes ${ATTRIBUTES}`],
    ['attributes', ' ', `cookie.attributes: got ' '; takes ${ATTRIBUTES}`],
    ['attributes', '; Path=/', `cookie.attributes: got '; Path=/'; takes ${ATTRIBUTES}`],
    ['attributes', 'Path=/;', `cookie.attributes: got 'Path=/;'; takes ${ATTRIBUTES}`],
    ['attributes', '=x', `cookie.attributes: got '=x'; takes ${ATTRIBUTES}`],
    ['attributes', 'Path /', `cookie.attributes: got 'Path /'; takes ${ATTRIBUTES}`],
    ['attributes', 'Path=/é', `cookie.attributes: got 'Path=/é'; takes ${ATTRIBUTES}`],
    ['attributes', 'Path=/\r\nX: y', `cookie.attributes: got 'Path=/\\r\\nX: y'; takes ${ATTRIBUTES}`],
    ['attributes', 'Secure\n', `cookie.attributes: got 'Secure\\n'; takes ${ATTRIBUTES}`],
    ['attributes', 'Path=/\0', `cookie.attributes: got 'Path=/\\x00'; takes ${ATTRIBUTES}`],
  ])('%s: %j', (option, value, message) => refused([lookup, undefined, { cookie: { [option]: value } }], message))
})

describe('a name with a prefix (RFC 6265bis 4.1.3)', () => {
  const HOST = 'Secure, Path=/ and no Domain'

  it.each<[name: string, attributes: string | undefined, takes: string]>([
    ['__Secure-s', undefined, 'Secure'],
    ['__SECURE-s', '', 'Secure'],
    ['__Secure-s', 'Path=/secure; X=Secure', 'Secure'],
    ['__Host-s', undefined, HOST],
    ['__host-s', 'Path=/', HOST],
    ['__Host-s', 'Secure', HOST],
    ['__Host-s', 'Secure; Path=/app', HOST],
    ['__Host-s', 'Secure; Path=/; Path=/app', HOST],
    ['__Host-s', 'Secure; Path=/; Domain=a.test', HOST],
  ])('%s with %j is refused where `insert` would set what browsers drop', (name, attributes, takes) => {
    const cookie = { name, insert: true, ...(attributes === undefined ? undefined : { attributes }) }
    const got = attributes ?? 'Path=/; HttpOnly'
    refused([lookup, undefined, { cookie }], `cookie.attributes: got '${got}'; takes ${takes} with the name '${name}'`)
  })

  it.each([
    { name: '__Secure-s', insert: true, attributes: 'secure' },
    { name: '__Host-s', insert: true, attributes: ' SECURE ;path = / ; HttpOnly' },
    { name: '__Host-s', insert: true, attributes: 'Path=/app; Path=/; Secure' },
    { name: '__Host', insert: true },
    { name: 'x__Host-s', insert: true },
    { name: '__Host-s' },
  ])('is taken where its scope is right, or the application has the say: %j', (cookie) => {
    expect(createStickyServer(lookup, undefined, { cookie })).toBeInstanceOf(ProxyServer)
  })
})

describe('what is taken', () => {
  it.each<[what: string, values: unknown[]]>([
    ['a lookup alone', [lookup]],
    ['no errback', [lookup, null]],
    ['empty options', [lookup, lookup, {}]],
    [
      'undefined, which is the default',
      [lookup, undefined, { cookie: undefined, modify: undefined, maxFields: undefined }],
    ],
    [
      'undefined in the cookie',
      [lookup, undefined, { cookie: { name: undefined, insert: undefined, secret: undefined } }],
    ],
    [
      'every option',
      [
        lookup,
        lookup,
        {
          modify: lookup,
          idleTimeout: 1,
          cookie: { name: 's', insert: true, indirect: true, secret: ['a'], attributes: 'Secure' },
        },
      ],
    ],
  ])('%s', (_, values) => {
    expect(make(...values)).toBeInstanceOf(ProxyServer)
  })

  it('frozen options, which are not written to', () => {
    const options = Object.freeze({ cookie: Object.freeze({ insert: true }) })
    expect(createStickyServer(lookup, undefined, options)).toBeInstanceOf(ProxyServer)
  })
})
