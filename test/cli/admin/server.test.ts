import { readdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BackendDetails } from '../../../src/cli/admin/controls.ts'
import { History } from '../../../src/cli/admin/history.ts'
import { AdminServer } from '../../../src/cli/admin/server.ts'
import { connect, listen } from '../../helpers/net.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { COUNTERS, jsonOf, NO_SETUP, NotedBalancer, startAdmin, statusOf, TOKEN } from './support.ts'

const folder = new URL('../../../src/cli/admin/static/', import.meta.url)

test('serves the page and every file that it names', async () => {
  const { ask } = await startAdmin()
  const page = await ask()
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  const html = page.body.toString()
  expect(html).toBe(readFileSync(new URL('page.html', folder), 'utf8'))
  const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => `/${path!.replace(/#.*/, '')}`)
  expect(named).toContain('/static/page.js')
  const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'))
  for (const name of scripts) {
    const code = readFileSync(new URL(name, folder), 'utf8')
    named.push(...[...code.matchAll(/from '\.\/([^']+)'/g)].map(([, path]) => `/static/${path}`))
  }
  for (const path of new Set(named)) expect([path, (await ask({ path })).status]).toEqual([path, 200])
})

test.each([
  ['page.css', 'text/css; charset=utf-8'],
  ['page.js', 'text/javascript; charset=utf-8'],
  ['icon.svg', 'image/svg+xml'],
])('serves /static/%s as %s', async (name, type) => {
  const { ask } = await startAdmin()
  const { status, headers, body } = await ask({ path: `/static/${name}` })
  expect([status, headers['content-type']]).toEqual([200, type])
  expect(body).toEqual(readFileSync(new URL(name, folder)))
})

test('serves uPlot itself', async () => {
  const { ask } = await startAdmin()
  expect((await ask({ path: '/static/uplot.js' })).body.toString()).toContain('uPlot')
  expect((await ask({ path: '/static/uplot.css' })).body.toString()).toContain('.uplot')
})

test.each([
  '/static/',
  '/static/server.ts',
  '/static/../server.ts',
  '/static/..%2fserver.ts',
  '/static/%2e%2e/server.ts',
  '/static/__proto__',
  '/api',
  '/api/backends',
  '/nothing',
  '/%',
  '//',
])('answers 404 at %s', async (path) => {
  const { ask } = await startAdmin()
  const answer = await ask({ path })
  expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/json'])
  expect(jsonOf(answer)).toEqual({ error: expect.stringMatching(/^nothing at \//) })
})

test('/api/state shows the current state', async () => {
  const counters = { ...COUNTERS }
  let draining = false
  const down = statusOf('web-2', {
    state: 'down',
    retryAt: 1_700_000_009_000,
    maxConnections: 20,
    lastError: { message: 'connect ECONNREFUSED', at: 1_700_000_008_000 },
  })
  const { ask, balancer } = await startAdmin({ counters: () => counters, isDraining: () => draining }, [
    statusOf('web-1', { source: 'dns:app:80' }),
    down,
  ])
  const before = Date.now()
  const first = jsonOf(await ask({ path: '/api/state' })) as Record<string, unknown>
  const { retryAt, lastError, drainingSince: _, ...up } = statusOf('web-1', { source: 'dns:app:80' })
  const { source, drainingSince, ...rest } = down
  expect(first).toEqual({
    version: '1.2.3',
    draining: false,
    workers: 1,
    restarts: 0,
    uptime: expect.any(Number),
    time: expect.any(Number),
    counters: COUNTERS,
    backends: [{ ...up, maxConnections: null }, rest],
    removed: [],
  })
  expect(first.time).toBeGreaterThanOrEqual(before)
  counters.open++
  draining = true
  balancer.statuses.pop()
  expect(jsonOf(await ask({ path: '/api/state' }))).toMatchObject({
    draining: true,
    counters: { open: COUNTERS.open + 1 },
    backends: [{ id: 'web-1' }],
  })
})

test('/healthz answers 200, and 503 during a drain', async () => {
  let draining = false
  const { ask } = await startAdmin({ isDraining: () => draining })
  const ok = await ask({ path: '/healthz' })
  expect([ok.status, ok.body.toString()]).toEqual([200, 'ok\n'])
  draining = true
  const not = await ask({ path: '/healthz' })
  expect([not.status, not.body.toString()]).toEqual([503, 'draining\n'])
})

test('/healthz answers 503 if no worker serves', async () => {
  let count = 1
  const workers = {
    get count() {
      return count
    },
    restarts: 0,
    refresh: async () => undefined,
    metrics: async () => '',
  }
  const { ask } = await startAdmin({ workers })
  expect((await ask({ path: '/healthz' })).status).toBe(200)
  count = 0
  const not = await ask({ path: '/healthz' })
  expect([not.status, not.body.toString()]).toEqual([503, 'no worker serves\n'])
})

test.each(['1.0\r\n', '1.0\r\nHost: badass.prod.svc:9000\r\n', '1.1\r\nHost: badass.prod.svc:9000\r\n'])(
  '/healthz accepts any Host, or none: %j',
  async (rest) => {
    const { port } = await startAdmin()
    const peer = await connect(port)
    peer.write(`GET /healthz HTTP/${rest}Connection: close\r\n\r\n`)
    expect(await peer.ended()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok\n$/s)
  },
)

test.each([
  ['POST', '/', 'GET, HEAD'],
  ['DELETE', '/api/state', 'GET, HEAD'],
  ['PUT', '/metrics', 'GET, HEAD'],
  ['GET', '/api/backends/web-1/drain', 'POST'],
  ['GET', '/api/backends/web-1/kill', 'POST'],
  ['GET', '/api/backends/web-1/weight', 'POST'],
  ['POST', '/api/backends/web-1', 'GET, HEAD'],
])('%s %s is 405 and allows %s', async (method, path, allow) => {
  const { ask, balancer } = await startAdmin()
  const answer = await ask({ method, path })
  expect([answer.status, answer.headers.allow]).toEqual([405, allow])
  expect(jsonOf(answer)).toEqual({ error: `method: expected ${allow}, got ${method}` })
  expect(balancer.calls).toEqual([])
})

test('answers HEAD like GET, without the body', async () => {
  const { ask } = await startAdmin()
  const [head, get] = [await ask({ method: 'HEAD' }), await ask()]
  expect([head.status, head.headers['content-type'], head.body.length]).toEqual([200, get.headers['content-type'], 0])
})

test('accepts drain, ready and kill with the token', async () => {
  const { act, balancer } = await startAdmin({}, [statusOf('web-1', { connections: 7 }), statusOf('unix:/run/app')])
  for (const [action, done] of [
    ['web-1/drain', { draining: true }],
    ['web-1/ready', { draining: false }],
    ['web-1/kill', { reset: 7 }],
    ['unix%3A%2Frun%2Fapp/drain', { draining: true }],
  ] as const) {
    const answer = await act(action)
    expect([answer.status, jsonOf(answer)]).toEqual([200, done])
  }
  expect(balancer.calls).toEqual(['drain web-1', 'ready web-1', 'kill web-1', 'drain unix:/run/app'])
})

test('sets the weight of a backend, and takes it away', async () => {
  const { act, balancer } = await startAdmin()
  for (const [body, weight] of [
    ['{"weight":0}', 0],
    ['{"weight":65535}', 65_535],
    ['{}', null],
    [' {"weight": null}\n', null],
  ] as const) {
    const answer = await act('web-1/weight', {}, body)
    expect([answer.status, jsonOf(answer)]).toEqual([200, { weight }])
    expect(balancer.calls.pop()).toBe(`weigh ${weight ?? undefined} web-1`)
  }
})

const NUMBER = 'an integer from 0 to 65535'
const JSON_ERROR = 'body: expected JSON, as in {"weight":2}'
test.each([
  ['{"weight":-1}', `body.weight: expected ${NUMBER}, got -1`],
  ['{"weight":65536}', `body.weight: expected ${NUMBER}, got 65536`],
  ['{"weight":1.5}', `body.weight: expected ${NUMBER}, got 1.5`],
  ['{"weight":"2"}', `body.weight: expected ${NUMBER}, got '2'`],
  ['{"wieght":2}', 'body.wieght: unknown option (did you mean weight?)'],
  ['{"weight":2,"__proto__":{}}', 'body.__proto__: unknown option (expected one of weight)'],
  ['[2]', 'body: expected an object, got [ 2 ]'],
  ['null', 'body: expected an object, got null'],
  ['2', 'body: expected an object, got 2'],
  ['', JSON_ERROR],
  ['{"weight":2', JSON_ERROR],
])('answers 400 to the weight %s', async (body, error) => {
  const { act, balancer, said } = await startAdmin()
  const answer = await act('web-1/weight', {}, body)
  expect([answer.status, jsonOf(answer)]).toEqual([400, { error }])
  expect([balancer.calls, said]).toEqual([[], []])
})

test('prints who has done what', async () => {
  const { act, said, ask } = await startAdmin({}, [statusOf('a', { connections: 1 })])
  for (const action of ['drain', 'ready', 'kill', 'kill']) await act(`a/${action}`)
  await act('a/weight', {}, '{"weight":3}')
  await act('a/weight', { 'X-Forwarded-For': '10.0.0.1' }, '{}')
  expect(said.splice(0)).toEqual([
    'admin: 127.0.0.1 drained backend a: it gets no new clients',
    'admin: 127.0.0.1 ended the drain of backend a',
    'admin: 127.0.0.1 reset 1 connection of backend a',
    'admin: 127.0.0.1 reset 0 connections of backend a',
    'admin: 127.0.0.1 set the weight of backend a to 3',
    'admin: 127.0.0.1 gave backend a its configured weight again',
  ])
  await act('nobody/drain')
  await act('a/drain', { Authorization: 'Bearer x' })
  await ask({ path: '/api/backends/a' })
  expect(said).toEqual([])
})

test('names the peer without a port, an IPv4 one in its own form, and one of a Unix socket', async () => {
  const { server, said } = await startAdmin()
  const path = join(temporaryDirectory(), 'admin.sock')
  const other = net.createServer((socket) => server.emit('connection', socket))
  const mapped = net.createServer((socket) => server.emit('connection', socket))
  await Promise.all([listen(other, { path }), listen(mapped, { port: 0, host: '::' })])
  for (const to of [{ path }, { port: (mapped.address() as net.AddressInfo).port, host: '127.0.0.1' }]) {
    const peer = await connect(to)
    peer.write(
      'POST /api/backends/web-1/drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n' +
        `Content-Type: application/json\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`,
    )
    expect(await peer.ended()).toMatch(/^HTTP\/1\.1 200 /)
  }
  expect(said).toEqual(
    ['the client of a Unix socket', '127.0.0.1'].map(
      (who) => `admin: ${who} drained backend web-1: it gets no new clients`,
    ),
  )
})

test('shows what happened to a backend', async () => {
  const check = { at: 3, duration: 1.5, passed: false, status: 500, error: 'no' }
  const transition = { at: 2, to: 'down' as const, cause: 'no', weight: undefined }
  class Eventful extends NotedBalancer {
    override details(id: string): BackendDetails {
      const more = { checks: [{ ...check, worker: 2 }], transitions: [transition] }
      return { ...super.details(id), ...more }
    }
  }
  const { ask } = await startAdmin({ balancer: new Eventful([statusOf('x/a b', { pool: 'x' })]) })
  const answer = await ask({ path: '/api/backends/x%2Fa%20b' })
  const { weight: _, ...down } = transition
  expect([answer.status, jsonOf(answer)]).toEqual([
    200,
    { id: 'x/a b', pool: 'x', checks: [{ ...check, worker: 2 }], transitions: [down] },
  ])
  const not = await ask({ path: '/api/backends/nobody' })
  expect([not.status, jsonOf(not)]).toEqual([404, { error: 'no backend "nobody"' }])
})

test.each(['drain', 'ready', 'kill', 'weight'])('answers 404 to %s of an unknown backend', async (action) => {
  const { act } = await startAdmin()
  const answer = await act(`web%20%22-9/${action}`, {}, '{}')
  expect([answer.status, jsonOf(answer)]).toEqual([404, { error: 'no backend "web \\"-9"' }])
})

test('accepts any id', async () => {
  const ids = fc.string({ unit: 'grapheme', minLength: 1 }).filter((id) => !/^\.{1,2}$/.test(id))
  const { act, balancer } = await startAdmin()
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(ids, fc.constantFrom('%2F', '%', '/', 'a/drain', '?', '#', '<b>', '+', ' ')),
      async (id) => {
        balancer.statuses.splice(0, 1, statusOf(id))
        expect((await act(`${encodeURIComponent(id)}/drain`)).status).toBe(200)
        expect(balancer.calls.at(-1)).toBe(`drain ${id}`)
      },
    ),
  )
})

test('hides internal errors', async () => {
  class Broken extends NotedBalancer {
    override drain(): void {
      throw new Error('the secret is 42')
    }
  }
  const { act } = await startAdmin({ balancer: new Broken([]) })
  const answer = await act('web-1/drain')
  expect([answer.status, jsonOf(answer)]).toEqual([500, { error: 'internal error' }])
})

test.each(['', 'two words', 'naïve', 'a\nb'])('rejects %j as a token', (token) => {
  const options = {
    balancer: new NotedBalancer([]),
    counters: () => COUNTERS,
    requests: () => [],
    history: () => new History(),
    isDraining: () => false,
    ...NO_SETUP,
    say: () => undefined,
    version: '',
  }
  expect(() => new AdminServer({ ...options, token })).toThrow(
    new TypeError('token: expected printable ASCII without spaces, at least one character'),
  )
})

test('limits the size and duration of requests', async () => {
  const { server, port } = await startAdmin()
  const peer = await connect(port)
  peer.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
  expect(await peer.until('\r\n')).toMatch(/^HTTP\/1\.1 431 /)
  const { headersTimeout, requestTimeout, timeout } = server
  for (const ms of [headersTimeout, requestTimeout, timeout]) {
    expect(ms).toBeGreaterThan(0)
    expect(ms).toBeLessThanOrEqual(30_000)
  }
  expect(headersTimeout).toBeLessThanOrEqual(2_000)
})

test('never includes the token in an answer', async () => {
  const { ask } = await startAdmin()
  for (const path of ['/', '/api/state', '/metrics', '/healthz']) {
    expect((await ask({ path })).body.includes(TOKEN)).toBe(false)
  }
})
