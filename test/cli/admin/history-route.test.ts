import { expect, onTestFinished, test, vi } from 'vitest'
import { AdminPage } from '../../../src/cli/admin/admin-page.ts'
import { Recorded, type Shown, type ShownBackend } from './samples.ts'
import { COUNTERS, jsonOf, NO_SETUP, NotedBalancer, startAdmin, statusOf } from './support.ts'

async function start() {
  const recorded = new Recorded()
  recorded.figures.backends = [statusOf('a'), statusOf('pool/b c', { pool: 'pool' })]
  recorded.sample()
  recorded.requests('a', 200, 20)
  recorded.sample()
  const { ask } = await startAdmin({ history: () => recorded.history })
  return { recorded, ask: (query = '') => ask({ path: `/api/history${query}` }) }
}

test('answers with all samples, or with later ones', async () => {
  const { recorded, ask } = await start()
  const all = await ask()
  expect([all.status, all.headers['content-type']]).toEqual([200, 'application/json'])
  expect(jsonOf(all)).toEqual(recorded.shown())
  const { times } = recorded.shown()
  expect(jsonOf(await ask(`?since=${times[0]}`))).toMatchObject({ times: [times[1]], all: { open: [0] } })
  expect(jsonOf(await ask('?since=0'))).toEqual(recorded.shown())
})

test('answers with all figures of one backend', async () => {
  const { recorded, ask } = await start()
  const { times, all, pools } = recorded.shown()
  const one = jsonOf(await ask('?backend=a')) as ShownBackend
  expect(one).toEqual({ interval: 2_000, times, backend: { ...pools.default, open: [0, 0] } })
  expect(one.backend.duration).toEqual(all.duration)
  const later = jsonOf(await ask(`?backend=pool%2Fb%20c&since=${times[0]}`)) as ShownBackend
  expect(later.backend).toMatchObject({ open: [0], codes: { '2xx': [0] }, duration: { p99: [null] } })
})

test('makes one answer at a time: several would delay clients', async () => {
  const recorded = new Recorded()
  const { figures, history } = recorded
  figures.backends = Array.from({ length: 100 }, (_, i) => statusOf(`b${i}`))
  recorded.sample()
  recorded.sample()
  // Of the first and the last part of each answer.
  const shown: string[] = []
  for (const id of ['b0', 'b99']) {
    const series = history.backends.get(id)!
    const get = series.get.bind(series)
    vi.spyOn(series, 'get').mockImplementation((n, figure) => {
      if (shown.at(-1) !== id) shown.push(id)
      return get(n, figure)
    })
  }
  const { ask } = await startAdmin({ history: () => history })
  const sinces = [0, history.timeOf(0), 0]
  const answers = await Promise.all(sinces.map((since) => ask({ path: `/api/history?since=${since}` })))
  expect(answers.map((answer) => (jsonOf(answer) as Shown).times.length)).toEqual([2, 1, 2])
  expect(shown).toEqual(['b0', 'b99', 'b0', 'b99'])
})

test.each([
  ['?since=', 400, "since: expected ms since 1970, got ''"],
  ['?since=-1', 400, "since: expected ms since 1970, got '-1'"],
  ['?since=1e3', 400, "since: expected ms since 1970, got '1e3'"],
  ['?since=%0A', 400, "since: expected ms since 1970, got '\\n'"],
  ['?since=1&since=2', 400, 'since: expected it once, got 2'],
  ['?backend=', 400, "backend: expected the id of a backend, got ''"],
  ['?backend=a&backend=a', 400, 'backend: expected it once, got 2'],
  ['?backend=nobody', 404, "backend: expected the id of a backend, got 'nobody'"],
  ['?backend=toString', 404, "backend: expected the id of a backend, got 'toString'"],
])('%s is %i', async (query, status, error) => {
  const { ask } = await start()
  const answer = await ask(query)
  expect([answer.status, jsonOf(answer)]).toEqual([status, { error }])
})

test('samples are taken while the page is on, and a reload keeps them', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  let taken = 0
  const counters = () => {
    taken++
    return COUNTERS
  }
  const page = new AdminPage({
    balancer: new NotedBalancer([]),
    counters,
    requests: () => [],
    isDraining: () => false,
    ...NO_SETUP,
    say: () => undefined,
    version: '',
  })
  onTestFinished(() => page.close())
  const use = async (...given: Parameters<AdminPage['change']>) => (await page.change(...given)).commit()
  const shown = async () => (await (await fetch(new URL('api/history', page.url))).json()) as Shown
  const listen = { port: 0, host: '127.0.0.1' }
  await use(undefined)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(taken).toBe(0)
  await use({ listen, token: undefined })
  await vi.advanceTimersByTimeAsync(2_000)
  expect((await shown()).times).toHaveLength(2)
  await use({ listen, token: 'another' })
  await vi.advanceTimersByTimeAsync(2_000)
  expect((await shown()).times).toHaveLength(3)
  await use(undefined)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(taken).toBe(3)
})
