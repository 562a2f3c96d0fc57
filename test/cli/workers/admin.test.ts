import { expect, test } from 'vitest'
import type { BackendStatus, Counters } from '../../../src/index.ts'
import { Backend, connect, deadPort, type Peer } from '../../helpers/net.ts'
import { GET } from '../../helpers/proxy.ts'
import { get, startBackend } from '../service/support.ts'
import { holdBoth, pidOf, pidsOf, startTwo, type Team, untilServedBy } from './support.ts'

interface State {
  workers: number
  restarts: number
  draining: boolean
  counters: Counters
  backends: BackendStatus[]
}

async function adminOf({ command }: Team) {
  const [, url = '', token = ''] = /admin page on (\S+)#token=(\S+)\n/.exec(await command.said('#token='))!
  const state = async () => (await (await fetch(`${url}api/state`)).json()) as State
  const metrics = async () => (await fetch(`${url}metrics`)).text()
  const act = async (id: string, action: string) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(`${url}api/backends/${id}/${action}`, { method: 'POST', headers })
    return { status: response.status, body: (await response.json()) as { reset?: number; error?: string } }
  }
  return { state, metrics, act, url }
}

/** Resolves when both workers serve again. */
async function restarted({ port, command }: Team, survivor: number): Promise<number> {
  await command.said('a new one takes its place')
  const all = await untilServedBy((pids) => pids.size === 2 && pids.has(survivor), port)
  return all.length
}

test('the counters are those of all workers, and those of one that is gone stay counted', async () => {
  const a = await startBackend('a')
  const team = await startTwo({ backends: [a], admin: '127.0.0.1:0' })
  const { state } = await adminOf(team)
  let count = (await untilServedBy((pids) => pids.size === 2, team.port)).length
  const [lost, kept] = await holdBoth(team)
  const before = await state()
  const { accepted } = before.counters
  expect(before).toMatchObject({ workers: 2, restarts: 0, counters: { connected: accepted } })
  expect(before.counters.open).toBeGreaterThanOrEqual(2)
  expect(before.backends).toMatchObject([{ id: 'a', state: 'up', total: count }])
  process.kill(lost.pid, 'SIGKILL')
  count += await restarted(team, kept.pid)
  const after = await state()
  expect(after).toMatchObject({ workers: 2, restarts: 1 })
  expect(after.backends).toMatchObject([{ id: 'a', total: count }])
  expect(after.backends[0]!.bytesRead).toBeGreaterThan(before.backends[0]!.bytesRead)
  for (const name of ['accepted', 'connected', 'bytesRead', 'bytesWritten'] as const) {
    expect(after.counters[name]).toBeGreaterThan(before.counters[name])
  }
  // One that is told to end says all that it has counted.
  process.kill(kept.pid, 'SIGTERM')
  kept.peer.end('HTTP/1.1 200 OK\r\n\r\nbye')
  kept.client.end()
  await kept.client.ended()
  await team.command.said('was told to end')
  const last = await untilServedBy((pids) => [...pids].filter((pid) => pid !== kept.pid).length === 2, team.port)
  expect((await state()).backends).toMatchObject([{ total: count + last.length }])
})

test('the metrics are those of one service, and of each of its processes', async () => {
  const team = await startTwo({ backends: [await startBackend('a')], admin: '127.0.0.1:0' })
  const { metrics } = await adminOf(team)
  const { length } = await untilServedBy((pids) => pids.size === 2, team.port)
  const text = await metrics()
  const lines = text.split('\n')
  expect(lines).toContain('badass_workers 2')
  expect(lines).toContain('badass_worker_restarts_total 0')
  expect(lines).toContain(`badass_connections_accepted_total ${length}`)
  expect(lines.filter((line) => line.startsWith('badass_backend_connections_total{'))).toEqual([
    expect.stringMatching(new RegExp(`\\{id="a",.*\\} ${length}$`)),
  ])
  const workers = [...text.matchAll(/^process_resident_memory_bytes\{worker="(\w+)"\} \d+$/gm)].map(([, name]) => name)
  expect(workers).toEqual(['primary', '1', '2'])
  // Each is described once.
  const about = lines.filter((line) => line.startsWith('# HELP '))
  expect(new Set(about).size).toBe(about.length)
})

test('of one that leaves and the one in its place, the metrics have one', async () => {
  const team = await startTwo({ backends: [await startBackend('a')], admin: '127.0.0.1:0' })
  const { metrics } = await adminOf(team)
  const [leaving, kept] = await holdBoth(team)
  process.kill(leaving.pid, 'SIGTERM')
  await team.command.said('was told to end')
  await untilServedBy((pids) => [...pids].some((pid) => pid !== leaving.pid && pid !== kept.pid), team.port)
  const text = await metrics()
  const samples = text.split('\n').flatMap((line) => /^[^#].*(?= )/.exec(line) ?? [])
  expect(samples).toContain('process_resident_memory_bytes{worker="1"}')
  expect(samples).toContain('process_resident_memory_bytes{worker="2"}')
  expect(new Set(samples).size).toBe(samples.length)
})

test('a drain reaches every worker, and those that come later; so does its end', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const team = await startTwo({ backends: [a, b], admin: '127.0.0.1:0' })
  const { state, act } = await adminOf(team)
  const [first, second] = await pidsOf(team.port)
  expect(await act('a', 'drain')).toMatchObject({ status: 200 })
  expect((await state()).backends).toMatchObject([
    { id: 'a', draining: true },
    { id: 'b', draining: false },
  ])
  const served = async (isEnough: (pids: ReadonlySet<number>) => boolean) => {
    const all = await untilServedBy(isEnough, team.port)
    return new Set(all.map(({ id }) => id))
  }
  expect(await served((pids) => pids.size === 2)).toEqual(new Set(['b']))
  process.kill(first, 'SIGKILL')
  await team.command.said('a new one takes its place')
  expect(await served((pids) => pids.size === 2 && pids.has(second))).toEqual(new Set(['b']))
  expect(team.command.stderr.split('badass: backend a drains')).toHaveLength(2)
  expect(await act('a', 'ready')).toMatchObject({ status: 200 })
  const seen = new Map<number, Set<string>>()
  while (seen.size < 2 || [...seen.values()].some(({ size }) => size < 2)) {
    const got = await get(team.port)
    seen.set(pidOf(got), (seen.get(pidOf(got)) ?? new Set()).add(got.id))
  }
  expect(team.command.stderr.split('badass: backend a takes new clients again')).toHaveLength(2)
})

test('connections are reset in every worker, and counted; an unknown backend is told of', async () => {
  const backend = await Backend.start()
  const team = await startTwo({ backends: [{ port: backend.port, id: 'a' }], admin: '127.0.0.1:0' })
  const { state, act } = await adminOf(team)
  const clients: Peer[] = []
  const pids = new Set<string>()
  while (pids.size < 2) {
    const client = await connect(team.port)
    client.write(GET)
    clients.push(client)
    pids.add(/x-pid: \d+/i.exec(await (await backend.next()).until('\r\n\r\n'))![0])
  }
  expect((await state()).backends).toMatchObject([{ connections: clients.length }])
  expect(await act('a', 'kill')).toEqual({ status: 200, body: { reset: clients.length } })
  await Promise.all(clients.map((client) => client.closed()))
  expect(await act('nobody', 'kill')).toEqual({
    status: 404,
    body: { error: "id: got 'nobody'; takes the id of a backend" },
  })
})

test('what several workers find out is said once', async () => {
  const { port } = await startBackend('a')
  const team = await startTwo({
    backends: [
      { port, id: 'a' },
      { port: await deadPort(), id: 'dead' },
    ],
    health: 'tcp',
  })
  await team.command.said('badass: backend dead is down: ')
  await pidsOf(team.port)
  expect(team.command.stderr.split('backend dead is down')).toHaveLength(2)
})

test('a drain of the whole is seen at the page, which ends last', async () => {
  const team = await startTwo({ backends: [await startBackend('a')], admin: '127.0.0.1:0' })
  const { state, url } = await adminOf(team)
  const open = await holdBoth(team)
  team.command.signal('SIGTERM')
  await team.command.said('draining')
  const probe = await fetch(`${url}healthz`)
  expect([probe.status, await probe.text()]).toEqual([503, 'draining\n'])
  const { draining, counters } = await state()
  expect(draining).toBe(true)
  expect(counters.open).toBeGreaterThanOrEqual(2)
  for (const { peer, client } of open) {
    peer.end()
    client.end()
  }
  expect(await team.command.exited).toBe(0)
})
