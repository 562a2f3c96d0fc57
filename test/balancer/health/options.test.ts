import { describe, expect, test } from 'vitest'
import { type HealthOptions, validateHealth } from '../../../src/balancer/health/index.ts'

const DEFAULTS = {
  type: 'tcp',
  path: '/',
  host: undefined,
  port: undefined,
  headers: {},
  status: [[200, 399]],
  drainStatus: [],
  interval: 2000,
  fastInterval: 2000,
  timeout: 1000,
  rise: 2,
  fall: 3,
}

describe('the health options', () => {
  test('have defaults', () => {
    expect(validateHealth({})).toEqual(DEFAULTS)
    expect(validateHealth({ type: undefined, path: undefined, status: undefined })).toEqual(DEFAULTS)
    expect(validateHealth({ type: 'http' })).toEqual({ ...DEFAULTS, type: 'http' })
    expect(validateHealth({ path: '/up' })).toEqual({ ...DEFAULTS, type: 'http', path: '/up' })
  })

  test.each<[HealthOptions['status'], [number, number][]]>([
    [204, [[204, 204]]],
    [
      [200, 404],
      [
        [200, 200],
        [404, 404],
      ],
    ],
    ['204', [[204, 204]]],
    ['200-599', [[200, 599]]],
    [
      '200-299, 401 ,500-500',
      [
        [200, 299],
        [401, 401],
        [500, 500],
      ],
    ],
  ])('take the status %j', (status, ranges) => {
    expect(validateHealth({ type: 'http', status }).status).toEqual(ranges)
  })

  test.each(['/', '/a?b=c&d=%20', "/~a/b.c-d_e;f=(g)*!$'", '//a', '/a@b:c'])('take the path %s', (path) => {
    expect(validateHealth({ path }).path).toBe(path)
  })

  test.each(['app.test', 'app.test:80', '127.0.0.1', '[::1]', '[::1]:3000', 'a_b'])('take the host %s', (host) => {
    expect(validateHealth({ path: '/', host }).host).toBe(host)
  })

  test('take a port with both types, and a faster interval', () => {
    expect(validateHealth({ port: 8081 })).toEqual({ ...DEFAULTS, port: 8081 })
    expect(validateHealth({ path: '/', port: 1, interval: 500 })).toMatchObject({ port: 1, fastInterval: 500 })
    expect(validateHealth({ fastInterval: 9 })).toMatchObject({ interval: 2000, fastInterval: 9 })
  })

  test('take fields, and copy them', () => {
    const headers = { Authorization: 'Basic eDp5', 'x-y': '', 'User-Agent': 'me', 'X-Latin': 'é' }
    const settings = validateHealth({ path: '/', headers })
    headers['x-y'] = 'changed'
    expect(settings.headers).toEqual({ ...headers, 'x-y': '' })
  })

  const HEADERS = 'an object of field names and values, without Host and fields of the connection or its framing'
  test.each([
    null,
    [],
    'X: y',
    ...[7, null, 'a\r\nX: y', 'a\n', ' a', 'a ', '\0', '\u010d\u010a', '€', ['a']].map((value) => ({ A: value })),
    ...['Host', 'hOST', 'connection', 'Content-Length', 'transfer-encoding', 'Upgrade', 'Expect'].map((name) => ({
      [name]: '5',
    })),
    ...['', ' A', 'A ', 'A:', 'A\r\nB', 'ä', 'A B', '\u0141'].map((name) => ({ [name]: 'x' })),
  ])('refuse the fields %j, and show no value', (headers) => {
    const kind = headers === null ? 'null' : Array.isArray(headers) ? '[]' : `(hidden ${typeof headers})`
    const message = `health.headers: expected ${HEADERS}, got ${kind}`
    expect(() => validateHealth({ path: '/', headers } as HealthOptions)).toThrow(new TypeError(message))
  })

  const PATH = "a path, as in '/healthz', percent-encoded and without a fragment"
  const HOST = "a host with an optional port, as in 'app.test' or '[::1]:3000'"
  const STATUS = "a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404'"
  const MS = 'milliseconds (an integer from 1 to 86400000)'
  const COUNT = 'an integer from 1 to 1000'
  const http = (rest: object) => ({ type: 'http', ...rest })

  test.each<[unknown, string]>([
    [null, 'health: expected an object, got null'],
    ['/up', "health: expected an object, got '/up'"],
    [
      { url: '/' },
      'health.url: unknown option (expected one of type, path, host, port, headers, status, drainStatus, interval, fastInterval, timeout, rise, fall)',
    ],
    [{ type: 'https' }, "health.type: expected 'tcp' or 'http', got 'https'"],
    [{ type: null }, "health.type: expected 'tcp' or 'http', got null"],
    [{ path: '' }, `health.path: expected ${PATH}, got ''`],
    [{ path: 'up' }, `health.path: expected ${PATH}, got 'up'`],
    [{ path: 'http://a/up' }, `health.path: expected ${PATH}, got 'http://a/up'`],
    [{ path: '*' }, `health.path: expected ${PATH}, got '*'`],
    [{ path: '/a b' }, `health.path: expected ${PATH}, got '/a b'`],
    [{ path: '/a\tb' }, `health.path: expected ${PATH}, got '/a\\tb'`],
    [{ path: '/a#b' }, `health.path: expected ${PATH}, got '/a#b'`],
    [{ path: '/ä' }, `health.path: expected ${PATH}, got '/ä'`],
    [{ path: '/\u010d\u010a' }, `health.path: expected ${PATH}, got '/\u010d\u010a'`],
    [{ path: '/\r\nX: y' }, `health.path: expected ${PATH}, got '/\\r\\nX: y'`],
    [{ path: '/\n' }, `health.path: expected ${PATH}, got '/\\n'`],
    [
      { path: '/ HTTP/1.1\r\nHost: b\r\n\r\nGET /' },
      `health.path: expected ${PATH}, got '/ HTTP/1.1\\r\\nHost: b\\r\\n\\r\\nGET /'`,
    ],
    [{ path: 7 }, `health.path: expected ${PATH}, got 7`],
    [{ path: null }, `health.path: expected ${PATH}, got null`],
    [http({ host: '' }), `health.host: expected ${HOST}, got ''`],
    [http({ host: 'a b' }), `health.host: expected ${HOST}, got 'a b'`],
    [http({ host: ' a' }), `health.host: expected ${HOST}, got ' a'`],
    [http({ host: 'a\r\nX: y' }), `health.host: expected ${HOST}, got 'a\\r\\nX: y'`],
    [http({ host: 'a\r\n\r\n' }), `health.host: expected ${HOST}, got 'a\\r\\n\\r\\n'`],
    [http({ host: 'http://a' }), `health.host: expected ${HOST}, got 'http://a'`],
    [http({ host: 'a:b' }), `health.host: expected ${HOST}, got 'a:b'`],
    [http({ host: 'a@b' }), `health.host: expected ${HOST}, got 'a@b'`],
    [http({ host: '::1' }), `health.host: expected ${HOST}, got '::1'`],
    [http({ host: 'ä' }), `health.host: expected ${HOST}, got 'ä'`],
    [http({ host: 7 }), `health.host: expected ${HOST}, got 7`],
    [http({ status: 199 }), `health.status: expected ${STATUS}, got 199`],
    [http({ status: 600 }), `health.status: expected ${STATUS}, got 600`],
    [http({ status: 200.5 }), `health.status: expected ${STATUS}, got 200.5`],
    [http({ status: [] }), `health.status: expected ${STATUS}, got []`],
    [http({ status: [200, 101] }), `health.status: expected ${STATUS}, got [ 200, 101 ]`],
    [http({ status: ['200'] }), `health.status: expected ${STATUS}, got [ '200' ]`],
    [http({ status: new Array(1) }), `health.status: expected ${STATUS}, got [ <1 empty item> ]`],
    [http({ status: '' }), `health.status: expected ${STATUS}, got ''`],
    [http({ status: '2xx' }), `health.status: expected ${STATUS}, got '2xx'`],
    [http({ status: '200-' }), `health.status: expected ${STATUS}, got '200-'`],
    [http({ status: '200,' }), `health.status: expected ${STATUS}, got '200,'`],
    [http({ status: '399-200' }), `health.status: expected ${STATUS}, got '399-200'`],
    [http({ status: '100-399' }), `health.status: expected ${STATUS}, got '100-399'`],
    [http({ status: '200\n' }), `health.status: expected ${STATUS}, got '200\\n'`],
    [http({ status: true }), `health.status: expected ${STATUS}, got true`],
    [http({ status: {} }), `health.status: expected ${STATUS}, got {}`],
    [http({ drainStatus: 9 }), `health.drainStatus: expected ${STATUS}, got 9`],
    [http({ drainStatus: [] }), `health.drainStatus: expected ${STATUS}, got []`],
    [{ drainStatus: 404 }, "health.drainStatus: expected nothing without a path, or the type 'http', got 404"],
    [{ interval: 0 }, `health.interval: expected ${MS}, got 0`],
    [{ interval: 86_400_001 }, `health.interval: expected ${MS}, got 86400001`],
    [{ interval: '2s' }, `health.interval: expected ${MS}, got '2s'`],
    [{ fastInterval: 0 }, `health.fastInterval: expected ${MS}, got 0`],
    [{ port: 0 }, 'health.port: expected an integer from 1 to 65535, got 0'],
    [{ port: '80' }, "health.port: expected an integer from 1 to 65535, got '80'"],
    [{ headers: { A: 'secret' } }, "health.headers: expected nothing without a path, or the type 'http', got some"],
    [{ timeout: 0 }, `health.timeout: expected ${MS}, got 0`],
    [{ timeout: Number.NaN }, `health.timeout: expected ${MS}, got NaN`],
    [{ timeout: Number.POSITIVE_INFINITY }, `health.timeout: expected ${MS}, got Infinity`],
    [{ rise: 0 }, `health.rise: expected ${COUNT}, got 0`],
    [{ rise: 1.5 }, `health.rise: expected ${COUNT}, got 1.5`],
    [{ fall: -1 }, `health.fall: expected ${COUNT}, got -1`],
    [{ fall: 1001 }, `health.fall: expected ${COUNT}, got 1001`],
    [{ type: 'tcp', path: '/' }, "health.path: expected nothing with the type 'tcp', got '/'"],
    [{ type: 'tcp', host: 'a' }, "health.host: expected nothing with the type 'tcp', got 'a'"],
    [{ status: 200 }, "health.status: expected nothing without a path, or the type 'http', got 200"],
    [{ host: 'a' }, "health.host: expected nothing without a path, or the type 'http', got 'a'"],
  ])('refuse %j', (options, message) => {
    expect(() => validateHealth(options as HealthOptions)).toThrow(new TypeError(message))
  })
})
