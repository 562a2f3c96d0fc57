import { expect, test } from 'vitest'
import type { BackendDetails } from '../../../src/cli/admin/index.ts'
import type { RequestLists } from '../../../src/cli/recent-requests.ts'
import type { BackendStatus, Counters } from '../../../src/index.ts'
import { Backend, connect, deadPort, type Peer } from '../../helpers/net.ts'
import { GET } from '../../helpers/proxy.ts'
import { makeCertificate, saveCertificate } from '../../helpers/tls.ts'
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
  /** The first scrape with the processes of both workers: a busy one may answer too late for it. */
  const metrics = async () => {
    for (;;) {
      const text = await (await fetch(`${url}metrics`)).text()
      if (['1', '2'].every((worker) => text.includes(`{worker="${worker}"}`))) return text
    }
  }
  const details = async (id: string) => {
    const response = await fetch(`${url}api/backends/${encodeURIComponent(id)}`)
    return (await response.json()) as BackendDetails
  }
  const act = async (id: string, action: string, body?: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(`${url}api/backends/${encodeURIComponent(id)}/${action}`, {
      method: 'POST',
      headers,
      ...(body && { body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      body: (await response.json()) as { reset?: number; weight?: number | null; error?: string },
    }
  }
  return { state, metrics, act, details, url, token }
}

/** Resolves when both workers serve again. */
async function restarted({ port, command }: Team, survivor: number): Promise<number> {
  await command.said('replacing it')
  const all = await untilServedBy((pids) => pids.size === 2 && pids.has(survivor), port)
  return all.length
}

test('adds up the counters of all workers, ended ones included', async () => {
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
  // A worker that ends reports all its counters.
  process.kill(kept.pid, 'SIGTERM')
  kept.peer.end('HTTP/1.1 200 OK\r\n\r\nbye')
  kept.client.end()
  await kept.client.ended()
  await team.command.said('got SIGTERM')
  const last = await untilServedBy((pids) => [...pids].filter((pid) => pid !== kept.pid).length === 2, team.port)
  expect((await state()).backends).toMatchObject([{ total: count + last.length }])
})

test('shows the metrics of the service and of each process', async () => {
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
  // Each metric is described once.
  const about = lines.filter((line) => line.startsWith('# HELP '))
  expect(new Set(about).size).toBe(about.length)
})

test('shows either a leaving worker or its replacement in the metrics, not both', async () => {
  const team = await startTwo({ backends: [await startBackend('a')], admin: '127.0.0.1:0' })
  const { metrics } = await adminOf(team)
  const [leaving, kept] = await holdBoth(team)
  process.kill(leaving.pid, 'SIGTERM')
  await team.command.said('got SIGTERM')
  await untilServedBy((pids) => [...pids].some((pid) => pid !== leaving.pid && pid !== kept.pid), team.port)
  const text = await metrics()
  const samples = text.split('\n').flatMap((line) => /^[^#].*(?= )/.exec(line) ?? [])
  expect(samples).toContain('process_resident_memory_bytes{worker="1"}')
  expect(samples).toContain('process_resident_memory_bytes{worker="2"}')
  expect(new Set(samples).size).toBe(samples.length)
})

/** The ids of the backends that serve until the pids are enough. */
async function idsServedBy(...given: Parameters<typeof untilServedBy>): Promise<Set<string>> {
  return new Set((await untilServedBy(...given)).map(({ id }) => id))
}

test('each worker routes to all pools, and a drain reaches a backend of a pool in every worker', async () => {
  const [app, a, b] = [await startBackend('app'), await startBackend('a'), await startBackend('b')]
  const team = await startTwo({
    backends: [app],
    pools: { x: { backends: [a, { ...b, maxConnections: 4 }] } },
    routes: [{ path: '/x', pool: 'x' }],
    admin: '127.0.0.1:0',
  })
  const { state, act } = await adminOf(team)
  expect(await act('x/a', 'drain')).toMatchObject({ status: 200 })
  expect((await act('a', 'drain')).status).toBe(404)
  const idsOf = (path: string) => idsServedBy((pids) => pids.size === 2, { port: team.port, host: '127.0.0.1', path })
  expect([await idsOf('/x/y'), await idsOf('/')]).toEqual([new Set(['b']), new Set(['app'])])
  expect((await state()).backends).toMatchObject([
    { id: 'app' },
    { id: 'x/a', draining: true },
    { id: 'x/b', maxConnections: 4 },
  ])
})

test('a drain and its end reach every worker, later ones included', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const team = await startTwo({ backends: [a, b], admin: '127.0.0.1:0' })
  const { state, act } = await adminOf(team)
  const [first, second] = await pidsOf(team.port)
  expect(await act('a', 'drain')).toMatchObject({ status: 200 })
  expect((await state()).backends).toMatchObject([
    { id: 'a', draining: true },
    { id: 'b', draining: false },
  ])
  expect(await idsServedBy((pids) => pids.size === 2, team.port)).toEqual(new Set(['b']))
  process.kill(first, 'SIGKILL')
  await team.command.said('replacing it')
  expect(await idsServedBy((pids) => pids.size === 2 && pids.has(second), team.port)).toEqual(new Set(['b']))
  expect(team.command.stderr.match(/\n.*drain.*/gi)).toEqual([
    '\nbadass: admin: 127.0.0.1 drained backend a: it gets no new clients',
  ])
  expect(await act('a', 'ready')).toMatchObject({ status: 200 })
  const seen = new Map<number, Set<string>>()
  while (seen.size < 2 || [...seen.values()].some(({ size }) => size < 2)) {
    const got = await get(team.port)
    seen.set(pidOf(got), (seen.get(pidOf(got)) ?? new Set()).add(got.id))
  }
  expect(team.command.stderr).toContain('\nbadass: admin: 127.0.0.1 ended the drain of backend a\n')
  expect(team.command.stderr).not.toContain('gets new clients again')
})

test('a weight reaches every worker, later ones included, and stays through a reload', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const settings = { backends: [a, b], admin: '127.0.0.1:0' }
  const team = await startTwo(settings)
  const { state, metrics, act, details } = await adminOf(team)
  const [first, second] = await pidsOf(team.port)
  expect(await act('a', 'weight', { weight: 0 })).toEqual({ status: 200, body: { weight: 0 } })
  expect(await act('nobody', 'weight', { weight: 0 })).toMatchObject({ status: 404 })
  expect(await idsServedBy((pids) => pids.size === 2, team.port)).toEqual(new Set(['b']))
  process.kill(first, 'SIGKILL')
  await team.command.said('replacing it')
  expect(await idsServedBy((pids) => pids.size === 2 && pids.has(second), team.port)).toEqual(new Set(['b']))
  team.file.write({ ...settings, backends: [{ ...a, weight: 4 }, b] })
  team.command.signal('SIGHUP')
  await team.command.said('badass: reloaded')
  expect((await state()).backends[0]).toMatchObject({ id: 'a', weight: 0, configuredWeight: 4, effectiveWeight: 0 })
  expect(await metrics()).toMatch(/^badass_backend_weight\{id="a",.*\} 0$/m)
  expect(await act('a', 'weight', {})).toEqual({ status: 200, body: { weight: null } })
  expect((await state()).backends[0]).toMatchObject({ weight: 4, configuredWeight: 4 })
  const { id, pool, transitions } = await details('a')
  expect([id, pool]).toEqual(['a', 'default'])
  expect(new Set(transitions.map(({ worker }) => worker))).toEqual(new Set([1, 2]))
  for (const worker of [1, 2]) {
    expect(transitions.filter((one) => one.worker === worker)).toMatchObject([
      { to: 'weight', cause: 'operator', weight: 4 },
      { to: 'weight', cause: 'operator', weight: 0 },
    ])
  }
  expect(transitions.map(({ at }) => at)).toEqual(transitions.map(({ at }) => at).sort((one, other) => other - one))
  expect(await details('nobody')).toEqual({ error: "id: expected the id of a backend, got 'nobody'" })
  expect(team.command.stderr.match(/admin: .*/g)).toEqual([
    'admin: 127.0.0.1 set the weight of backend a to 0',
    'admin: 127.0.0.1 gave backend a its configured weight again',
  ])
})

test('a reload that moves a backend ends its drain and its weight, in later workers too', async () => {
  const [a, b, moved] = [await startBackend('a'), await startBackend('b'), await startBackend('moved')]
  const settings = { backends: [a, b], admin: '127.0.0.1:0' }
  const team = await startTwo(settings)
  const { state, act } = await adminOf(team)
  await act('a', 'drain')
  await act('a', 'weight', { weight: 9 })
  await act('b', 'drain')
  await act('b', 'weight', { weight: 5 })
  team.file.write({ ...settings, backends: [{ ...moved, id: 'a' }, b] })
  team.command.signal('SIGHUP')
  await team.command.said('badass: reloaded')
  const expected = [
    { id: 'a', draining: false, weight: 1 },
    { id: 'b', draining: true, weight: 5 },
  ]
  expect((await state()).backends).toMatchObject(expected)
  for (const pid of await pidsOf(team.port)) process.kill(pid, 'SIGKILL')
  await expect.poll(state).toMatchObject({ workers: 2, restarts: 2 })
  expect((await state()).backends).toMatchObject(expected)
})

test('kill resets connections in every worker and counts them; an unknown backend is an error', async () => {
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
    body: { error: "id: expected the id of a backend, got 'nobody'" },
  })
})

test('prints a line once if several workers send it', async () => {
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

test('the admin page shows the drain of the service, and closes last', async () => {
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

test('/api/setup shows the config in force and the certificates of all workers', async () => {
  const files = saveCertificate(makeCertificate(undefined, 3))
  const team = await startTwo({ backends: 3001, tls: files, admin: '127.0.0.1:0' })
  const { url } = await adminOf(team)
  const setup = async () => (await fetch(`${url}api/setup`)).json()
  expect(await setup()).toMatchObject({
    pools: [{ name: 'default', backends: 1 }],
    listeners: [{ url: `https://127.0.0.1:${team.port}/`, tls: true }],
    certificates: [{ use: 'listener', file: files.cert, names: expect.arrayContaining(['localhost']) }],
  })
  team.file.write({ backends: [3001, 3002], admin: '127.0.0.1:0' })
  team.command.signal('SIGHUP')
  await team.command.said('badass: reloaded')
  expect(await setup()).toMatchObject({ pools: [{ backends: 2 }], listeners: [{ tls: false }], certificates: [] })
  // Both workers warned of it.
  expect(team.command.stderr.match(/expires on/g)).toHaveLength(1)
})

test('/api/requests collects the requests of all workers', async () => {
  const a = await startBackend('a')
  const team = await startTwo({ backends: a, requests: 'every', admin: '127.0.0.1:0', adminRequests: true })
  const { url, token } = await adminOf(team)
  const all = await untilServedBy((pids) => pids.size === 2, team.port)
  const lists = async () => {
    const response = await fetch(`${url}api/requests`, { headers: { authorization: `Bearer ${token}` } })
    return (await response.json()) as RequestLists
  }
  // One worker may have served nearly all. Each keeps 20 of a minute.
  const pids = all.map(pidOf)
  const servedBy = (pid: number) => pids.filter((one) => one === pid).length
  const least = [...new Set(pids)].reduce((sum, pid) => sum + Math.min(servedBy(pid), 20), 0)
  await expect.poll(async () => (await lists()).slowest.length).toBeGreaterThanOrEqual(least)
  const { slowest, failed } = await lists()
  expect(new Set(slowest.map(({ worker }) => worker))).toEqual(new Set([1, 2]))
  expect(failed).toEqual([])
})
