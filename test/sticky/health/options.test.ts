import { describe, expect, test } from 'vitest'
import { checkHealth, type HealthOptions } from '../../../src/sticky/health/index.ts'

const DEFAULTS = {
  type: 'tcp',
  path: '/',
  host: undefined,
  status: [[200, 399]],
  interval: 2000,
  timeout: 1000,
  rise: 2,
  fall: 3,
}

describe('the health options', () => {
  test('have defaults', () => {
    expect(checkHealth({})).toEqual(DEFAULTS)
    expect(checkHealth({ type: undefined, path: undefined, status: undefined })).toEqual(DEFAULTS)
    expect(checkHealth({ type: 'http' })).toEqual({ ...DEFAULTS, type: 'http' })
    expect(checkHealth({ path: '/up' })).toEqual({ ...DEFAULTS, type: 'http', path: '/up' })
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
    expect(checkHealth({ type: 'http', status }).status).toEqual(ranges)
  })

  test.each(['/', '/a?b=c&d=%20', "/~a/b.c-d_e;f=(g)*!$'", '//a', '/a@b:c'])('take the path %s', (path) => {
    expect(checkHealth({ path }).path).toBe(path)
  })

  test.each(['app.test', 'app.test:80', '127.0.0.1', '[::1]', '[::1]:3000', 'a_b'])('take the host %s', (host) => {
    expect(checkHealth({ path: '/', host }).host).toBe(host)
  })

  const PATH = "; takes a path, as in '/healthz', percent-encoded and without a fragment"
  const HOST = "; takes a host with an optional port, as in 'app.test' or '[::1]:3000'"
  const STATUS = "; takes a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404'"
  const MS = '; takes an integer from 1 to 86400000 (ms)'
  const COUNT = '; takes an integer from 1 to 1000'
  const http = (rest: object) => ({ type: 'http', ...rest })

  test.each<[unknown, string]>([
    [null, 'health: got null; takes an object'],
    ['/up', "health: got '/up'; takes an object"],
    [{ url: '/' }, 'health.url: is no option; takes type, path, host, status, interval, timeout, rise, fall'],
    [{ type: 'https' }, "health.type: got 'https'; takes 'tcp' or 'http'"],
    [{ type: null }, "health.type: got null; takes 'tcp' or 'http'"],
    [{ path: '' }, `health.path: got ''${PATH}`],
    [{ path: 'up' }, `health.path: got 'up'${PATH}`],
    [{ path: 'http://a/up' }, `health.path: got 'http://a/up'${PATH}`],
    [{ path: '*' }, `health.path: got '*'${PATH}`],
    [{ path: '/a b' }, `health.path: got '/a b'${PATH}`],
    [{ path: '/a\tb' }, `health.path: got '/a\\tb'${PATH}`],
    [{ path: '/a#b' }, `health.path: got '/a#b'${PATH}`],
    [{ path: '/ä' }, `health.path: got '/ä'${PATH}`],
    [{ path: '/\u010d\u010a' }, `health.path: got '/\u010d\u010a'${PATH}`],
    [{ path: '/\r\nX: y' }, `health.path: got '/\\r\\nX: y'${PATH}`],
    [{ path: '/\n' }, `health.path: got '/\\n'${PATH}`],
    [
      { path: '/ HTTP/1.1\r\nHost: b\r\n\r\nGET /' },
      `health.path: got '/ HTTP/1.1\\r\\nHost: b\\r\\n\\r\\nGET /'${PATH}`,
    ],
    [{ path: 7 }, `health.path: got 7${PATH}`],
    [{ path: null }, `health.path: got null${PATH}`],
    [http({ host: '' }), `health.host: got ''${HOST}`],
    [http({ host: 'a b' }), `health.host: got 'a b'${HOST}`],
    [http({ host: ' a' }), `health.host: got ' a'${HOST}`],
    [http({ host: 'a\r\nX: y' }), `health.host: got 'a\\r\\nX: y'${HOST}`],
    [http({ host: 'a\r\n\r\n' }), `health.host: got 'a\\r\\n\\r\\n'${HOST}`],
    [http({ host: 'http://a' }), `health.host: got 'http://a'${HOST}`],
    [http({ host: 'a:b' }), `health.host: got 'a:b'${HOST}`],
    [http({ host: 'a@b' }), `health.host: got 'a@b'${HOST}`],
    [http({ host: '::1' }), `health.host: got '::1'${HOST}`],
    [http({ host: 'ä' }), `health.host: got 'ä'${HOST}`],
    [http({ host: 7 }), `health.host: got 7${HOST}`],
    [http({ status: 199 }), `health.status: got 199${STATUS}`],
    [http({ status: 600 }), `health.status: got 600${STATUS}`],
    [http({ status: 200.5 }), `health.status: got 200.5${STATUS}`],
    [http({ status: [] }), `health.status: got []${STATUS}`],
    [http({ status: [200, 101] }), `health.status: got [ 200, 101 ]${STATUS}`],
    [http({ status: ['200'] }), `health.status: got [ '200' ]${STATUS}`],
    [http({ status: new Array(1) }), `health.status: got [ <1 empty item> ]${STATUS}`],
    [http({ status: '' }), `health.status: got ''${STATUS}`],
    [http({ status: '2xx' }), `health.status: got '2xx'${STATUS}`],
    [http({ status: '200-' }), `health.status: got '200-'${STATUS}`],
    [http({ status: '200,' }), `health.status: got '200,'${STATUS}`],
    [http({ status: '399-200' }), `health.status: got '399-200'${STATUS}`],
    [http({ status: '100-399' }), `health.status: got '100-399'${STATUS}`],
    [http({ status: '200\n' }), `health.status: got '200\\n'${STATUS}`],
    [http({ status: true }), `health.status: got true${STATUS}`],
    [http({ status: {} }), `health.status: got {}${STATUS}`],
    [{ interval: 0 }, `health.interval: got 0${MS}`],
    [{ interval: 86_400_001 }, `health.interval: got 86400001${MS}`],
    [{ interval: '2s' }, `health.interval: got '2s'${MS}`],
    [{ timeout: 0 }, `health.timeout: got 0${MS}`],
    [{ timeout: Number.NaN }, `health.timeout: got NaN${MS}`],
    [{ timeout: Number.POSITIVE_INFINITY }, `health.timeout: got Infinity${MS}`],
    [{ rise: 0 }, `health.rise: got 0${COUNT}`],
    [{ rise: 1.5 }, `health.rise: got 1.5${COUNT}`],
    [{ fall: -1 }, `health.fall: got -1${COUNT}`],
    [{ fall: 1001 }, `health.fall: got 1001${COUNT}`],
    [{ type: 'tcp', path: '/' }, "health.path: got '/'; takes nothing with the type 'tcp'"],
    [{ type: 'tcp', host: 'a' }, "health.host: got 'a'; takes nothing with the type 'tcp'"],
    [{ status: 200 }, "health.status: got 200; takes nothing without a path, or the type 'http'"],
    [{ host: 'a' }, "health.host: got 'a'; takes nothing without a path, or the type 'http'"],
  ])('refuse %j', (options, message) => {
    expect(() => checkHealth(options as HealthOptions)).toThrow(new TypeError(message))
  })
})
