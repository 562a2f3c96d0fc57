import { describe, expect, it } from 'vitest'
import { ProxyServer } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'

const lookup = () => undefined
const make = createStickyServer as (...values: unknown[]) => unknown

const NAME = 'a token (RFC 6265 4.1.1)'
const SECRET = 'a string or bytes, not empty, or a list of them'
const ATTRIBUTES = "cookie attributes, as in 'Path=/; Secure'"
const LIMITS =
  'maxHeadBytes, maxFields, requests, http2, headTimeout, keepAliveTimeout, bodyTimeout, pool, responseHeadTimeout, connectTimeout, idleTimeout, halfCloseTimeout, ' +
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
    ['no lookup', [], 'lookup: expected a function, got undefined'],
    ['the options in place of lookup', [{}], 'lookup: expected a function, got {}'],
    ['the options in place of errback', [lookup, {}], 'errback: expected a function, got {}'],
    ['an errback of false', [lookup, false], 'errback: expected a function, got false'],
    ['no object', [lookup, undefined, null], 'options: expected an object, got null'],
    ['a number', [lookup, undefined, 5], 'options: expected an object, got 5'],
    ['a list', [lookup, undefined, []], 'options: expected an object, got []'],
    ['a hook', [lookup, lookup, lookup], 'options: expected an object, got [Function: lookup]'],
  ])('%s', (_, values, message) => refused(values, message))
})

describe('the options', () => {
  it.each<[what: string, options: object, message: string]>([
    ['unknown', { coookie: {} }, 'coookie: unknown option (did you mean cookie?)'],
    ['a lookup beside lookup', { lookup }, `lookup: unknown option (expected one of modify, ${LIMITS}, cookie)`],
    [
      'an errback, which is an argument',
      { errback: lookup },
      `errback: unknown option (expected one of modify, ${LIMITS}, cookie)`,
    ],
    ['a cookie option', { insert: true }, `insert: unknown option (expected one of modify, ${LIMITS}, cookie)`],
    ['modify', { modify: true }, 'modify: expected a function, got true'],
    ['a limit', { maxFields: 0 }, 'maxFields: expected an integer from 1 to 1048576, got 0'],
    ['a flag', { noDelay: 1 }, 'noDelay: expected true or false, got 1'],
    ['cookie is null', { cookie: null }, 'cookie: expected an object, got null'],
    ['cookie is a name', { cookie: 'sticky' }, "cookie: expected an object, got 'sticky'"],
    ['cookie is a list', { cookie: [] }, 'cookie: expected an object, got []'],
  ])('%s', (_, options, message) => refused([lookup, undefined, options], message))
})

describe('the cookie options', () => {
  it.each<[option: string, value: unknown, message: string]>([
    ['sercet', 'x', 'cookie.sercet: unknown option (did you mean secret?)'],
    ['insert', 'yes', "cookie.insert: expected true or false, got 'yes'"],
    ['insert', null, 'cookie.insert: expected true or false, got null'],
    ['beside', 'a b', "cookie.beside: expected the name of an application's cookie, got 'a b'"],
    ['beside', null, "cookie.beside: expected the name of an application's cookie, got null"],
    ['indirect', 1, 'cookie.indirect: expected true or false, got 1'],
    ['name', '', `cookie.name: expected ${NAME}, got ''`],
    ['name', null, `cookie.name: expected ${NAME}, got null`],
    ['name', 'a b', `cookie.name: expected ${NAME}, got 'a b'`],
    ['name', 'a=b', `cookie.name: expected ${NAME}, got 'a=b'`],
    ['name', 'a;b', `cookie.name: expected ${NAME}, got 'a;b'`],
    ['name', 'é', `cookie.name: expected ${NAME}, got 'é'`],
    ['name', 'a\n', `cookie.name: expected ${NAME}, got 'a\\n'`],
    ['name', 'a\r\nb: c', `cookie.name: expected ${NAME}, got 'a\\r\\nb: c'`],
    ['secret', '', `cookie.secret: expected ${SECRET}, got ''`],
    ['secret', null, `cookie.secret: expected ${SECRET}, got null`],
    ['secret', 5, `cookie.secret: expected ${SECRET}, got (hidden number)`],
    ['secret', Buffer.alloc(0), `cookie.secret: expected ${SECRET}, got (hidden object)`],
    ['secret', [], `cookie.secret: expected ${SECRET}, got []`],
    ['secret', ['a', ''], `cookie.secret: expected ${SECRET}, got [(hidden string), '']`],
    ['secret', ['a', undefined], `cookie.secret: expected ${SECRET}, got [(hidden string), undefined]`],
    ['secret', new Array(1), `cookie.secret: expected ${SECRET}, got [undefined]`],
    ['secret', [['a']], `cookie.secret: expected ${SECRET}, got [[(hidden string)]]`],
    ['attributes', null, `cookie.attributes: expected ${ATTRIBUTES}, got null`],
    ['attributes', ['Secure'], `cookie.attributes: expected ${ATTRIBUTES}, got [ 'Secure' ]`],
    ['attributes', ' ', `cookie.attributes: expected ${ATTRIBUTES}, got ' '`],
    ['attributes', '; Path=/', `cookie.attributes: expected ${ATTRIBUTES}, got '; Path=/'`],
    ['attributes', 'Path=/;', `cookie.attributes: expected ${ATTRIBUTES}, got 'Path=/;'`],
    ['attributes', '=x', `cookie.attributes: expected ${ATTRIBUTES}, got '=x'`],
    ['attributes', 'Path /', `cookie.attributes: expected ${ATTRIBUTES}, got 'Path /'`],
    ['attributes', 'Path=/é', `cookie.attributes: expected ${ATTRIBUTES}, got 'Path=/é'`],
    ['attributes', 'Path=/\r\nX: y', `cookie.attributes: expected ${ATTRIBUTES}, got 'Path=/\\r\\nX: y'`],
    ['attributes', 'Secure\n', `cookie.attributes: expected ${ATTRIBUTES}, got 'Secure\\n'`],
    ['attributes', 'Path=/\0', `cookie.attributes: expected ${ATTRIBUTES}, got 'Path=/\\x00'`],
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
  ])('%s with %j is refused if browsers would reject the cookie', (name, attributes, takes) => {
    const cookie = { name, insert: true, ...(attributes === undefined ? undefined : { attributes }) }
    const got = attributes ?? 'Path=/; HttpOnly'
    refused(
      [lookup, undefined, { cookie }],
      `cookie.attributes: expected ${takes} with the name '${name}', got '${got}'`,
    )
  })

  it('beside is refused if `insert` would ignore it', () => {
    const cookie = { insert: true, beside: 'sid' }
    refused([lookup, undefined, { cookie }], 'cookie.beside: has no effect with insert')
  })

  it.each([
    { name: '__Secure-s', insert: true, attributes: 'secure' },
    { name: '__Host-s', insert: true, attributes: ' SECURE ;path = / ; HttpOnly' },
    { name: '__Host-s', insert: true, attributes: 'Path=/app; Path=/; Secure' },
    { name: '__Host', insert: true },
    { name: 'x__Host-s', insert: true },
    { name: '__Host-s' },
  ])('is accepted with the right attributes or without insert: %j', (cookie) => {
    expect(createStickyServer(lookup, undefined, { cookie })).toBeInstanceOf(ProxyServer)
  })
})

describe('accepts', () => {
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
      [lookup, undefined, { cookie: { name: undefined, insert: undefined, beside: undefined, secret: undefined } }],
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

  it('frozen options', () => {
    const options = Object.freeze({ cookie: Object.freeze({ insert: true }) })
    expect(createStickyServer(lookup, undefined, options)).toBeInstanceOf(ProxyServer)
  })
})
