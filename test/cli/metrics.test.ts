import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import { hasProgram } from '../helpers/peers.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { scrape, scrapeUntil } from './scrape.ts'
import { get } from './service/support.ts'
import { startWithPid } from './with-pid.ts'

// The metrics of the real command.

const REQUESTS = 'badass_http_requests_total'

/** A backend that answers with the status in the path. */
async function startStatuses(id: string) {
  const server = http.createServer(({ url, headers }, response) => {
    response.writeHead(Number(url!.slice(1)) || 200, { connection: 'close' }).end(JSON.stringify({ id, url, headers }))
  })
  return { id, port: await listen(server), host: '127.0.0.1' }
}

async function start(workers: number) {
  const [app, api] = [await startStatuses('app'), await startStatuses('a')]
  const routing = { backends: app, pools: { api: { backends: api } }, routes: [{ path: '/404', pool: 'api' }] }
  return startWithPid(routing, workers)
}

test.each([1, 2])(
  'with %i workers, requests are counted by pool, backend and status, also after a reload',
  async (workers) => {
    const { command, admin, ask } = await start(workers)
    if (workers > 1) await command.said('workers serve')
    const pids = new Set<unknown>()
    let count = 0
    for (; pids.size < workers || count < 5; count++) pids.add((await ask('/')).headers['x-pid'])
    for (const path of ['/500', '/404', '/404']) await ask(path)
    const app = 'pool="default",backend="app"'
    const api = 'pool="api",backend="a"'
    const expected = { [`${app},code="2xx"`]: count, [`${app},code="5xx"`]: 1, [`${api},code="4xx"`]: 2 }
    expect(await scrapeUntil(admin, REQUESTS, count + 3)).toEqual(expected)
    for (const name of ['connect', 'first_byte', 'request']) {
      const histogram = `badass_${name}_duration_seconds`
      expect(await scrape(admin, `${histogram}_count`)).toEqual({ [app]: count + 1, [api]: 2 })
      const buckets = await scrape(admin, `${histogram}_bucket`)
      expect(buckets[`${app},le="+Inf"`]).toBe(count + 1)
    }
    command.signal('SIGHUP')
    await command.said('badass: reloaded')
    await ask('/')
    expect(await scrapeUntil(admin, REQUESTS, count + 4)).toEqual({ ...expected, [`${app},code="2xx"`]: count + 1 })
  },
)

test('the requests of a worker that ended stay', async () => {
  const { command, admin, ask } = await start(2)
  await command.said('2 workers serve')
  const pid = Number((await ask('/')).headers['x-pid'])
  await scrapeUntil(admin, REQUESTS, 1)
  process.kill(pid, 'SIGKILL')
  await command.said('replacing it')
  let count = 1
  const pids = new Set<number>()
  for (; pids.size < 2; count++) pids.add(Number((await ask('/')).headers['x-pid']))
  expect(pids).not.toContain(pid)
  const [next] = pids
  // It reports for the last time after its drain.
  process.kill(next!, 'SIGTERM')
  await command.said('got SIGTERM')
  while (pids.size < 3) {
    pids.add(Number((await ask('/')).headers['x-pid']))
    count++
  }
  expect(await scrapeUntil(admin, REQUESTS, count)).toEqual({ 'pool="default",backend="app",code="2xx"': count })
})

test('workers count from the reload on that turns the admin page on', async () => {
  const backend = await startStatuses('app')
  const file = join(temporaryDirectory(), 'badass.json')
  const write = (more: object) =>
    writeFileSync(file, JSON.stringify({ listen: '127.0.0.1:0', requests: 'every', backends: backend, ...more }))
  write({})
  const command = Command.start('--config', file, '--workers', '2')
  const port = await command.port()
  await command.said('2 workers serve')
  await get(port)
  write({ admin: '127.0.0.1:0' })
  command.signal('SIGHUP')
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  await command.said('badass: reloaded')
  await get(port)
  expect(await scrapeUntil(admin!, REQUESTS, 1)).toEqual({ 'pool="default",backend="app",code="2xx"': 1 })
})

test('the requests of a worker that reports too late for a scrape are in a later one', async () => {
  const { command, admin, ask } = await start(2)
  await command.said('2 workers serve')
  const pids = new Set<number>()
  let count = 0
  for (; pids.size < 2; count++) pids.add(Number((await ask('/')).headers['x-pid']))
  const [pid] = pids
  process.kill(pid!, 'SIGSTOP')
  // The scrape goes on without the worker, which finds the order when it continues.
  await scrape(admin, REQUESTS)
  process.kill(pid!, 'SIGCONT')
  expect(Object.values(await scrapeUntil(admin, REQUESTS, count))).toEqual([count])
})

test.skipIf(!hasProgram('promtool') && !process.env.CI).each([1, 2])(
  'promtool accepts the metrics of %i workers',
  async (workers) => {
    const { command, admin, ask } = await start(workers)
    if (workers > 1) await command.said('workers serve')
    await ask('/')
    await scrapeUntil(admin, REQUESTS, 1)
    const input = await (await fetch(new URL('metrics', admin))).text()
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([0, '', ''])
  },
)
