import { spawnSync } from 'node:child_process'
import { register } from 'prom-client'
import { expect, test } from 'vitest'
import { Metrics } from '../../../src/cli/admin/metrics.ts'
import { countStatus, HISTOGRAMS, noRequests, observe } from '../../../src/cli/request-counts.ts'
import { hasProgram } from '../../helpers/peers.ts'
import { turn } from '../../helpers/turns.ts'
import { COUNTERS, startAdmin, statusOf } from './support.ts'

interface Sample {
  labels: Record<string, string>
  value: number
}

interface Metric {
  type: string
  help: string
  samples: Map<string, Sample[]>
}

/** Parses the text like Prometheus. Throws on errors, and on complaints of its linter. */
function parse(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>()
  let current: [name: string, metric: Metric] | undefined
  const seen = new Set<string>()
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, help, about] = /^# HELP (\S+) (.+)$/.exec(line) ?? []
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line) ?? []
    if (help) {
      expect(metrics.has(help)).toBe(false)
      current = [help, { type: '', help: about!, samples: new Map() }]
      metrics.set(...current)
    } else if (typed) {
      expect([typed, current?.[1].type]).toEqual([current?.[0], ''])
      current![1].type = type!
    } else {
      const [, name, rest = '', value] = /^([a-zA-Z_]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (!name || !current || seen.has(`${name}{${rest}}`)) throw new Error(`not as it has to be: ${line}`)
      seen.add(`${name}{${rest}}`)
      const family = current[1].type === 'histogram' ? name.replace(/_(?:bucket|sum|count)$/, '') : name
      expect(family).toBe(current[0])
      const samples = current[1].samples.get(name) ?? []
      samples.push({ labels: labelsOf(rest), value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) })
      current[1].samples.set(name, samples)
    }
  }
  return metrics
}

function labelsOf(text: string): Record<string, string> {
  const labels: [string, string][] = []
  const pattern = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
  while (pattern.lastIndex < text.length) {
    const [, name, value] = pattern.exec(text) ?? []
    if (name === undefined) throw new Error(`no labels: ${text}`)
    labels.push([name, value!.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter))])
  }
  return Object.fromEntries(labels)
}

async function scrape({ ask }: Awaited<ReturnType<typeof startAdmin>>): Promise<Map<string, Metric>> {
  const { status, headers, body } = await ask({ path: '/metrics' })
  expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  return parse(body.toString())
}

function figureOf(metrics: Map<string, Metric>, name: string, id?: string): number | undefined {
  return metrics
    .get(name)
    ?.samples.get(name)
    ?.find(({ labels }) => labels.id === id)?.value
}

const BACKENDS = [
  statusOf('web-1', { connections: 3, total: 70, bytesRead: 2 ** 40, bytesWritten: 5, weight: 0, maxConnections: 20 }),
  statusOf('say "hi" \\ to\nall {a="b"}', { address: 'unix:/run/app', state: 'down', failures: 4 }),
  statusOf('web-3', { draining: true, backup: true }),
]

test('the metrics show the state', async () => {
  const metrics = await scrape(await startAdmin({}, BACKENDS))
  const totals = {
    badass_draining: 0,
    badass_workers: 1,
    badass_worker_restarts_total: 0,
    badass_connections_open: COUNTERS.open,
    badass_connections_accepted_total: COUNTERS.accepted,
    badass_connections_connected_total: COUNTERS.connected,
    badass_requests_total: COUNTERS.requests,
    badass_requests_queued: COUNTERS.queued,
    badass_connections_reused_total: COUNTERS.reuses,
    badass_retries_total: COUNTERS.retries,
    badass_bad_heads_total: COUNTERS.badHeads,
    badass_connect_failures_total: COUNTERS.connectFailures,
    badass_tls_handshake_failures_total: COUNTERS.handshakeFailures,
    badass_connections_turned_away_total: COUNTERS.turnedAway,
    badass_connections_limited_total: COUNTERS.limitedConnections,
    badass_requests_limited_total: COUNTERS.limitedRequests,
    badass_bytes_read_total: COUNTERS.bytesRead,
    badass_bytes_written_total: COUNTERS.bytesWritten,
  }
  for (const [name, value] of Object.entries(totals)) expect([name, figureOf(metrics, name)]).toEqual([name, value])
  expect(metrics.get('badass_info')?.samples.get('badass_info')).toEqual([{ labels: { version: '1.2.3' }, value: 1 }])
  expect(metrics.get('badass_connections_total')?.samples.get('badass_connections_total')).toEqual(
    Object.entries(COUNTERS.outcomes).map(([outcome, value]) => ({ labels: { outcome }, value })),
  )
  for (const backend of BACKENDS) {
    const each = {
      badass_backend_up: backend.state === 'up' ? 1 : 0,
      badass_backend_ejected: backend.ejectedUntil === undefined ? 0 : 1,
      badass_backend_draining: backend.draining ? 1 : 0,
      badass_backend_backup: backend.backup ? 1 : 0,
      badass_backend_weight: backend.weight,
      badass_backend_effective_weight: backend.effectiveWeight,
      badass_backend_connections: backend.connections,
      badass_backend_connections_max: backend.maxConnections,
      badass_backend_connections_total: backend.total,
      badass_backend_connect_failures_total: backend.failures,
      badass_backend_ejections_total: backend.ejections,
      badass_backend_bytes_read_total: backend.bytesRead,
      badass_backend_bytes_written_total: backend.bytesWritten,
    }
    for (const [name, value] of Object.entries(each)) {
      const samples = metrics.get(name)!.samples.get(name)!
      expect(samples).toHaveLength(BACKENDS.length)
      expect(samples).toContainEqual({ labels: { id: backend.id, address: backend.address }, value })
    }
  }
  const own = [...metrics.keys()].filter((name) => name.startsWith('badass_'))
  expect(own).toHaveLength(2 + Object.keys(totals).length + 13 + 2 + HISTOGRAMS.length)
})

test('names and types agree, and each metric has a help text', async () => {
  const metrics = await scrape(await startAdmin())
  for (const [name, { type, help }] of metrics) {
    const expected = name.endsWith('_total') ? 'counter' : name.endsWith('_duration_seconds') ? 'histogram' : 'gauge'
    if (name.startsWith('badass_')) expect([name, type]).toEqual([name, expected])
    expect(type).not.toBe('')
    expect(help).not.toBe('')
  }
})

test('shows the requests of each backend', async () => {
  const strange = noRequests('api', 'say "hi" \\ to\nall {a="b"}')
  for (const status of [200, 200, 503, undefined]) countStatus(strange, status)
  for (const ms of [1, 3, 7_000]) observe(strange, 0, ms)
  const metrics = await scrape(await startAdmin({ requests: () => [strange, noRequests('', '')] }))
  const labels = { pool: strange.pool, backend: strange.backend }
  const samplesOf = (name: string, suffix = '') => metrics.get(name)!.samples.get(name + suffix)!
  const requests = samplesOf('badass_http_requests_total')
  expect(requests).toHaveLength(12)
  expect(requests.filter(({ value }) => value > 0)).toEqual([
    { labels: { ...labels, code: '2xx' }, value: 2 },
    { labels: { ...labels, code: '5xx' }, value: 1 },
    { labels: { ...labels, code: 'none' }, value: 1 },
  ])
  const name = 'badass_connect_duration_seconds'
  expect(samplesOf(name, '_bucket').map(({ labels: { le }, value }) => `${le} ${value}`)).toEqual([
    ...['0.001 1', '0.0025 1', '0.005 2', '0.01 2', '0.05 2', '0.1 2', '0.5 2', '1.5 2', '5 2', '+Inf 3'],
  ])
  expect(samplesOf(name, '_sum')).toEqual([{ labels, value: expect.closeTo(7.004) }])
  expect(samplesOf(name, '_count')).toEqual([{ labels, value: 3 }])
  // Nothing was observed.
  expect(metrics.get('badass_request_duration_seconds')!.samples.size).toBe(0)
})

test.skipIf(!hasProgram('promtool') && !process.env.CI)(
  'promtool accepts a scrape in which each metric has a value',
  async () => {
    const counts = noRequests('default', 'web-1')
    for (const status of [101, 200, 301, 404, 503, undefined]) countStatus(counts, status)
    for (const index of [0, 1, 2] as const) observe(counts, index, 12)
    const file = { use: 'listener', file: '/a.pem', names: ['a'], issuer: 'b', notBefore: 1, notAfter: 2 } as const
    const admin = await startAdmin({ requests: () => [counts], certificates: () => [file] }, BACKENDS)
    const { body } = await admin.ask({ path: '/metrics' })
    const own = [...parse(body.toString())].filter(([name]) => name.startsWith('badass_'))
    for (const [name, { samples }] of own) expect([name, samples.size > 0]).toEqual([name, true])
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([0, '', ''])
  },
)

test('a scrape of many backends goes in small steps, with turns of the event loop for clients in between', async () => {
  let reads = 0
  const watched = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (_, name) => {
        reads++
        return Reflect.get(target, name)
      },
    })
  const ids = Array.from({ length: 1_000 }, (_, i) => `backend ${i}`)
  const backends = ids.map((id) => watched(statusOf(id)))
  const requests = ids.map((id) => watched(noRequests('default', id, id)))
  const rest = {
    version: '',
    draining: false,
    workers: 1,
    restarts: 0,
    removed: [],
    certificates: [],
    counters: COUNTERS,
  }
  let isOver = false
  const scraped = new Metrics(
    async () => ({ ...rest, backends, requests }),
    async () => '',
  ).text()
  void scraped.finally(() => {
    isOver = true
  })
  let most = 0
  let all = 0
  while (!isOver) {
    await turn()
    most = Math.max(most, reads)
    all += reads
    reads = 0
  }
  expect(
    parse((await scraped).join(''))
      .get('badass_backend_weight')!
      .samples.get('badass_backend_weight'),
  ).toHaveLength(1_000)
  expect(all).toBeGreaterThan(20_000)
  expect(most).toBeLessThan(1_000)
})

test('shows CPU, memory and event loop of the process', async () => {
  const metrics = await scrape(await startAdmin())
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_start_time_seconds',
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
  ]) {
    expect([name, figureOf(metrics, name)]).toEqual([name, expect.any(Number)])
  }
})

test('each scrape shows the current state, and counts nothing twice', async () => {
  const counters = { ...COUNTERS }
  let draining = false
  const backends = [statusOf('web-1', { total: 5 }), statusOf('web-2')]
  const admin = await startAdmin({ counters: () => counters, isDraining: () => draining }, backends)
  expect(figureOf(await scrape(admin), 'badass_backend_up', 'web-2')).toBe(1)
  counters.open = 99
  draining = true
  backends.pop()
  const metrics = await scrape(admin)
  expect(figureOf(metrics, 'badass_backend_up', 'web-2')).toBeUndefined()
  expect(figureOf(metrics, 'badass_backend_connections_total', 'web-1')).toBe(5)
  expect(figureOf(metrics, 'badass_connections_open')).toBe(99)
  expect(figureOf(metrics, 'badass_connections_accepted_total')).toBe(COUNTERS.accepted)
  expect(figureOf(metrics, 'badass_draining')).toBe(1)
})

test('shows a removed backend while it has open connections', async () => {
  const admin = await startAdmin({}, [statusOf('web-1', { connections: 1, total: 5 })])
  // 'web-1' was removed and added again.
  admin.balancer.removed.push(
    statusOf('gone', { connections: 2, total: 9, draining: true }),
    statusOf('web-1', { connections: 3, total: 4 }),
  )
  const metrics = await scrape(admin)
  const figures = (name: string) => ['gone', 'web-1'].map((id) => figureOf(metrics, name, id))
  expect(figures('badass_backend_connections')).toEqual([2, 4])
  expect(figures('badass_backend_connections_total')).toEqual([9, 9])
  for (const name of ['up', 'draining', 'weight']) expect(figures(`badass_backend_${name}`)[0]).toBeUndefined()
  const { body } = await admin.ask({ path: '/api/state' })
  expect(JSON.parse(body.toString()).removed).toMatchObject([
    { id: 'gone', connections: 2, maxConnections: null },
    { id: 'web-1', connections: 3 },
  ])
})

test('concurrent scrapes get the same result', async () => {
  const { ask } = await startAdmin({}, BACKENDS)
  const texts = await Promise.all(
    Array.from({ length: 5 }, async () => (await ask({ path: '/metrics' })).body.toString()),
  )
  const own = texts.map((text) => text.split('\n').filter((line) => line.includes('badass_')))
  for (const lines of own) expect(lines).toEqual(own[0])
})

test('several services in one process have separate metrics, and do not use the global registry', async () => {
  const admins = [await startAdmin({}, [statusOf('one')]), await startAdmin({ version: '9' }, [statusOf('two')])]
  const [first, second] = await Promise.all(admins.map(scrape))
  expect([figureOf(first!, 'badass_backend_up', 'one'), figureOf(first!, 'badass_backend_up', 'two')]).toEqual([
    1,
    undefined,
  ])
  expect([figureOf(second!, 'badass_backend_up', 'one'), figureOf(second!, 'badass_backend_up', 'two')]).toEqual([
    undefined,
    1,
  ])
  expect(register.getMetricsAsArray()).toEqual([])
})

test('works without backends', async () => {
  const metrics = await scrape(await startAdmin({}, []))
  expect(metrics.get('badass_backend_up')).toEqual({
    type: 'gauge',
    help: '1 if the backend is up.',
    samples: new Map(),
  })
  expect(figureOf(metrics, 'badass_connections_open')).toBe(COUNTERS.open)
})
