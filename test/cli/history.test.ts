import http from 'node:http'
import { expect, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import type { List, Shown } from './admin/samples.ts'
import { startWithPid } from './with-pid.ts'

// The history of the real command.

async function startBackend(id: string, status: number) {
  const server = http.createServer(({ headers }, response) => {
    response.writeHead(status).end(JSON.stringify({ id, headers }))
  })
  return { id, port: await listen(server), host: '127.0.0.1' }
}

async function start(workers: number) {
  const [app, api] = [await startBackend('app', 200), await startBackend('a', 404)]
  const routing = { backends: app, pools: { api: { backends: api } }, routes: [{ path: '/api', pool: 'api' }] }
  const { command, admin, ask } = await startWithPid(routing, workers)
  if (workers > 1) await command.said('workers serve')
  const history = async () => (await (await fetch(new URL('api/history', admin))).json()) as Shown
  return { command, ask, history }
}

/** Rates in a list, times the seconds between samples. */
function sumOf(list: List, times: readonly number[]): number {
  return list.reduce<number>((sum, rate, i) => sum + ((rate ?? 0) * (times[i]! - (times[i - 1] ?? 0))) / 1_000, 0)
}

/** Resolves when all these requests are in the history. */
async function until(history: () => Promise<Shown>, ok: number, notFound: number): Promise<Shown> {
  for (;;) {
    const shown = await history()
    const { times, all } = shown
    const sums = [all.codes['2xx']!, all.codes['4xx']!].map((list) => Math.round(sumOf(list, times)))
    if (sums[0] === ok && sums[1] === notFound) return shown
  }
}

test.each([1, 2])('with %i workers, requests are in the history of their pool and backend', async (workers) => {
  const { command, ask, history } = await start(workers)
  const pids = new Set<unknown>()
  let count = 0
  for (; pids.size < workers || count < 5; count++) pids.add((await ask('/')).headers['x-pid'])
  for (let i = 0; i < 3; i++) await ask('/api')
  const { times, all, pools, backends } = await until(history, count, 3)
  expect(Object.keys(pools).sort()).toEqual(['api', 'default'])
  expect(Object.keys(backends).sort()).toEqual(['api/a', 'app'])
  expect(sumOf(pools.default!.codes['2xx']!, times)).toBeCloseTo(count, 0)
  expect(sumOf(pools.api!.codes['4xx']!, times)).toBeCloseTo(3, 0)
  expect(all.duration.p99.at(-1)).toBeGreaterThan(0)
  expect(backends.app!.firstByteP99.at(-1)).toBeGreaterThan(0)
  command.signal('SIGHUP')
  await command.said('badass: reloaded')
  await ask('/')
  expect((await until(history, count + 1, 3)).times[0]).toBe(times[0])
})

test('a worker that was killed makes no rate negative', async () => {
  const { command, ask, history } = await start(2)
  const first = Number((await ask('/')).headers['x-pid'])
  await until(history, 1, 0)
  process.kill(first, 'SIGKILL')
  await command.said('replacing it')
  const pids = new Set<unknown>()
  let count = 0
  for (; pids.size < 2; count++) pids.add((await ask('/')).headers['x-pid'])
  const { all, pools, backends } = await until(history, 1 + count, 0)
  const lists = [
    all.rate,
    all.in,
    all.out,
    all.codes['2xx']!,
    pools.default!.rate,
    backends.app!.rate,
    backends.app!.out,
  ]
  for (const value of lists.flat()) expect(value ?? 0).toBeGreaterThanOrEqual(0)
})
