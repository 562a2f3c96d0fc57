import { expect, test } from 'vitest'
import { History } from '../../../src/cli/admin/history.ts'
import { AdminServer } from '../../../src/cli/admin/server.ts'
import { connect, type Peer } from '../../helpers/net.ts'
import { COUNTERS, NO_SETUP, NotedBalancer, startAdmin, TOKEN } from './support.ts'

const MANY = 300

async function connectMany(port: number, sent: string): Promise<Peer[]> {
  const peers: Peer[] = []
  for (let i = 0; i < MANY; i++) {
    const peer = await connect(port)
    if (sent) peer.write(sent)
    peers.push(peer)
  }
  return peers
}

test.each([
  ['nothing', ''],
  ['half a head', 'GET /healthz HTTP/1.1\r\nHost: a\r\n'],
  ['half a body', 'POST /api/backends/web-1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1'],
  ['a request, and stay', 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
])(`a probe is answered while ${MANY} clients have sent %s`, async (_, sent) => {
  const { port, ask, server } = await startAdmin()
  await connectMany(port, sent)
  for (let i = 0; i < 3; i++) expect((await ask({ path: '/healthz' })).status).toBe(200)
  const open = await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)))
  expect(open).toBeLessThanOrEqual(256)
})

/** Workers that do not answer a request for their state before `answer()`. */
function slowWorkers() {
  const waiting: (() => void)[] = []
  const workers = {
    count: 1,
    restarts: 0,
    metrics: async () => '',
    refresh: () => new Promise<void>((resolve) => waiting.push(resolve)),
  }
  const answer = () => {
    for (const resolve of waiting) resolve()
  }
  return { workers, waiting, answer }
}

test('evicts idle clients before a request in progress', async () => {
  const { workers, waiting, answer } = slowWorkers()
  const { port, ask } = await startAdmin({ workers })
  const state = ask({ path: '/api/state' })
  await expect.poll(() => waiting.length).toBe(1)
  await connectMany(port, '')
  answer()
  expect((await state).status).toBe(200)
})

test('answers a probe while all other requests wait, and after a reload', async () => {
  const { workers, waiting, answer } = slowWorkers()
  const { port, ask, server } = await startAdmin({ isDraining: () => true })
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
  server.answerAs(new AdminServer({ ...options, workers, token: TOKEN }))
  let requests = 0
  server.on('request', () => requests++)
  await connectMany(port, 'GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await expect.poll(() => requests).toBeGreaterThanOrEqual(256)
  // They share one answer.
  expect(waiting.length).toBe(1)
  expect((await ask({ path: '/healthz' })).status).toBe(200)
  answer()
})

test('closes a pipelining client after one answer', async () => {
  const { workers, waiting, answer } = slowWorkers()
  const { port, ask } = await startAdmin({ workers })
  const client = await connect(port)
  client.socket.allowHalfOpen = false
  client.write('GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1_000))
  await client.closed()
  expect((await ask({ path: '/healthz' })).status).toBe(200)
  expect(waiting.length).toBe(1)
  answer()
})
