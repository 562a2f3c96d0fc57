import { timingSafeEqual } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { connect } from '../../helpers/net.ts'
import { jsonOf, startAdmin, TOKEN } from './support.ts'

vi.mock('node:crypto', { spy: true })

const DIRECTIVES = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
]

test('sends the security headers with every answer', async () => {
  const { ask, act } = await startAdmin()
  const answers = [
    await ask(),
    await ask({ path: '/static/page.js' }),
    await ask({ path: '/api/state' }),
    await ask({ path: '/metrics' }),
    await ask({ path: '/healthz' }),
    await act('web-1/drain'),
    await act('web-1/drain', { Authorization: '' }),
    await ask({ headers: { Host: 'evil.example' } }),
    await ask({ path: '/nothing' }),
    await ask({ method: 'POST' }),
    await act('web-1/drain', {}, 'x'.repeat(5_000)),
    await act('web-1/drain', { 'Content-Type': 'text/plain' }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 401, 403, 404, 405, 413, 415])
  for (const { headers } of answers) {
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    expect(headers['content-security-policy']).toBe(DIRECTIVES.join('; '))
    expect(Object.keys(headers).filter((name) => /^(access-control-|x-powered-by|strict-)/.test(name))).toEqual([])
  }
})

test.each([
  ['none', undefined, 'Authorization: expected Bearer TOKEN'],
  ['an empty one', '', 'Authorization: expected Bearer TOKEN'],
  ['no token', 'Bearer ', 'Authorization: expected Bearer TOKEN'],
  ['another scheme', `Basic ${TOKEN}`, 'Authorization: expected Bearer TOKEN'],
  ['the token alone', TOKEN, 'Authorization: expected Bearer TOKEN'],
  ['another token', 'Bearer guess', 'the token is wrong'],
  ['its beginning', `Bearer ${TOKEN.slice(0, -1)}`, 'the token is wrong'],
  ['more than it', `Bearer ${TOKEN}a`, 'the token is wrong'],
  ['it in capitals', `Bearer ${TOKEN.toUpperCase()}`, 'the token is wrong'],
  ['two', `Bearer ${TOKEN} ${TOKEN}`, 'Authorization: expected Bearer TOKEN'],
])('Authorization is refused: %s', async (_, value, error) => {
  const { ask, balancer } = await startAdmin()
  const headers = { 'Content-Type': 'application/json', ...(value === undefined ? {} : { Authorization: value }) }
  const answer = await ask({ method: 'POST', path: '/api/backends/web-1/drain', headers })
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer realm="badass"'])
  expect(jsonOf(answer)).toEqual({ error })
  expect(balancer.calls).toEqual([])
})

test('accepts the scheme in any case', async () => {
  const { act } = await startAdmin()
  expect((await act('web-1/drain', { Authorization: `bearer  ${TOKEN}` })).status).toBe(200)
})

test('compares tokens in constant time', async () => {
  const { act } = await startAdmin()
  for (const [given, isRight] of [
    ['a', false],
    ['a'.repeat(1_000), false],
    [TOKEN, true],
  ] as const) {
    vi.mocked(timingSafeEqual).mockClear()
    expect((await act('web-1/drain', { Authorization: `Bearer ${given}` })).status).toBe(isRight ? 200 : 401)
    expect(timingSafeEqual).toHaveBeenCalledTimes(1)
    const [a, b] = vi.mocked(timingSafeEqual).mock.calls[0]!
    expect([a.byteLength, b.byteLength]).toEqual([32, 32])
  }
})

test.each(['http://evil.example', 'http://127.0.0.1:1', 'http://localhost', 'null', 'nonsense', ''])(
  'refuses Origin %j, even with the token',
  async (origin) => {
    const { act, balancer } = await startAdmin()
    const answer = await act('web-1/kill', { Origin: origin })
    expect([answer.status, jsonOf(answer)]).toEqual([
      403,
      { error: `Origin: expected this server's own, got ${JSON.stringify(origin)}` },
    ])
    expect(balancer.calls).toEqual([])
  },
)

test.each(['http', 'https'])('allows its own origin over %s', async (scheme) => {
  const { act, port } = await startAdmin()
  expect((await act('web-1/drain', { Origin: `${scheme}://127.0.0.1:${port}` })).status).toBe(200)
  const [Host, Origin] = [`localhost:${port}`, `${scheme}://localhost:${port}`]
  expect((await act('web-1/drain', { Host, Origin })).status).toBe(200)
})

test.each([
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.evil.example:9000',
  '192.168.1.5:9000',
  '127.0.0.2',
  '0.0.0.0',
  '[::]',
])('refuses Host %j', async (host) => {
  const { ask, act, balancer } = await startAdmin()
  for (const answer of [
    await ask({ headers: { Host: host } }),
    await ask({ path: '/metrics', headers: { Host: host } }),
    await act('web-1/drain', { Host: host }),
  ]) {
    const error = `Host: expected localhost, 127.0.0.1, [::1], got ${JSON.stringify(host)}`
    expect([answer.status, jsonOf(answer)]).toEqual([403, { error }])
  }
  expect(balancer.calls).toEqual([])
})

test.each(['Host: evil@localhost', 'Host: localhost:1:2', 'Host: localhost/x', 'Host:', 'X: none'])(
  'refuses an invalid Host: %s',
  async (field) => {
    const { port } = await startAdmin()
    for (const version of ['1.0', '1.1']) {
      const peer = await connect(port)
      peer.write(`GET /api/state HTTP/${version}\r\n${field}\r\nConnection: close\r\n\r\n`)
      expect(await peer.ended()).toMatch(/^HTTP\/1\.1 40[03] /)
      expect(peer.text).not.toContain('backends')
    }
  },
)

test.each(['/a%0Ab', '/%0D%0A', '/api/backends/a%0Ab/drain', '/static/%E2%80%A8', '/%FF', '/%'])(
  'checks Host for any path: %s',
  async (path) => {
    const { ask } = await startAdmin()
    for (const method of ['GET', 'POST']) {
      const { status, headers } = await ask({ method, path, headers: { Host: 'evil.example' } })
      expect([status, headers['x-frame-options']]).toEqual([403, 'DENY'])
    }
  },
)

test.each(['localhost', 'LOCALHOST:1', '127.0.0.1:5', '[::1]', '[::1]:80'])(
  'treats Host %j as loopback',
  async (host) => {
    const { ask } = await startAdmin()
    expect((await ask({ headers: { Host: host } })).status).toBe(200)
  },
)

test('allows the configured names and addresses, on any port', async () => {
  const { ask } = await startAdmin({
    allowedHosts: ['admin.example', '192.168.1.5', 'fe80:0::1', 'Upper.example:9000'],
  })
  const statuses = async (hosts: string[]) => {
    return Promise.all(hosts.map(async (host) => (await ask({ headers: { Host: host } })).status))
  }
  expect(await statuses(['admin.example:1', '192.168.1.5', '[fe80::1]:9', 'upper.example', 'localhost'])).toEqual([
    200, 200, 200, 200, 200,
  ])
  expect(await statuses(['other.example', 'x.admin.example', '192.168.1.6', '[fe80::2]'])).toEqual([403, 403, 403, 403])
})

test.each(['0.0.0.0', '::'])('allows any address but no name if it listens on every address (%s)', async (all) => {
  const { ask } = await startAdmin({ allowedHosts: [all] })
  for (const [host, status] of [
    ['192.168.1.5:9000', 200],
    ['[2001:db8::1]:9000', 200],
    ['localhost', 200],
    ['evil.example', 403],
  ] as const) {
    expect([host, (await ask({ headers: { Host: host } })).status]).toEqual([host, status])
  }
})

test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonx', ''])(
  'refuses Content-Type %j',
  async (type) => {
    const { act, balancer } = await startAdmin()
    const answer = await act('web-1/drain', { 'Content-Type': type })
    const error = `Content-Type: expected application/json, got ${JSON.stringify(type)}`
    expect([answer.status, jsonOf(answer)]).toEqual([415, { error }])
    expect(balancer.calls).toEqual([])
  },
)

test.each(['application/json; charset=utf-8', 'Application/JSON'])('accepts Content-Type %j as JSON', async (type) => {
  const { act } = await startAdmin()
  expect((await act('web-1/drain', { 'Content-Type': type })).status).toBe(200)
})

test('limits the body', async () => {
  const { act, balancer } = await startAdmin()
  const refused = [
    await act('web-1/drain', {}, 'x'.repeat(4_097)),
    await act('web-1/kill', { 'Transfer-Encoding': 'chunked' }, '{}'),
  ]
  for (const answer of refused) {
    expect([answer.status, jsonOf(answer)]).toEqual([413, { error: 'body: expected a Content-Length of at most 4096' }])
  }
  expect(balancer.calls).toEqual([])
  expect((await act('web-1/drain', {}, 'x'.repeat(4_096))).status).toBe(200)
})
