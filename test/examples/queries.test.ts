import http from 'node:http'
import { expect, test } from 'vitest'
import { readExample } from '../../scripts/docs.js'
import { Command } from '../cli/command.ts'
import { json } from '../cli/config/support.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { hasProgram, startPrometheus } from '../helpers/peers.ts'
import { OK } from '../helpers/proxy.ts'

// Runs the queries of examples/operations with a real Prometheus that scrapes a real badass.

/** The queries in order. Prometheus ignores their comments. */
const [errors = '', latency = '', saturation = '', since = ''] = readExample('operations/queries.promql').split('\n\n')

interface Answer {
  status: string
  data: { result: { metric: Record<string, string>; value: [number, string] }[] }
}

/** Returns a function that runs a query: the values, by the labels in `by`. */
function queriesOf(prometheus: string) {
  return async (query: string, ...by: string[]): Promise<Record<string, number>> => {
    const response = await fetch(`${prometheus}api/v1/query?${new URLSearchParams({ query })}`)
    const { status, data } = (await response.json()) as Answer
    expect(status).toBe('success')
    return Object.fromEntries(
      data.result.map(({ metric, value }) => [by.map((name) => metric[name] ?? '').join(' '), Number(value[1])]),
    )
  }
}

async function startAnswering(status: number) {
  const server = http.createServer((_, response) => response.writeHead(status).end('hi'))
  return { port: await listen(server), host: '127.0.0.1' }
}

test.skipIf(!hasProgram('prometheus') && !process.env.CI)('tell which backend fails, is slow or is full', async () => {
  const started = Date.now()
  const held = await Backend.start()
  const config = {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    requests: 'every',
    backends: { id: 'good', ...(await startAnswering(200)) },
    pools: {
      bad: { backends: { id: 'bad', ...(await startAnswering(500)) } },
      gone: { backends: { id: 'gone', port: await deadPort(), host: '127.0.0.1' } },
      held: { backends: { id: 'held', port: held.port, host: '127.0.0.1', maxConnections: 4 } },
    },
    routes: ['bad', 'gone', 'held'].map((pool) => ({ path: `/${pool}`, pool })),
  }
  const command = Command.start('--config', json(config))
  const port = await command.port()
  const [, admin] = /admin page on http:\/\/(\S+)\/#/.exec(await command.said('admin page on'))!
  const query = queriesOf(await startPrometheus(admin!))
  let sent = 0
  const send = async () => {
    for (const path of ['/', '/bad', '/gone']) await (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    sent += 3
    // A rate needs two scrapes.
    for (let seen = 0; seen !== sent; ) seen = (await query('sum(badass_http_requests_total)'))['']!
  }
  await send()
  const client = await connect(port)
  client.write('GET /held HTTP/1.1\r\nHost: a\r\n\r\n')
  const peer = await held.next()
  await send()
  expect(await query(errors, 'pool', 'backend')).toEqual({ 'default good': 0, 'bad bad': 1, ' ': 1 })
  const seconds = await query(latency, 'pool', 'backend')
  expect(Object.keys(seconds).sort()).toEqual(['bad bad', 'default good'])
  for (const one of Object.values(seconds)) expect(one).toBeGreaterThan(0)
  await expect.poll(() => query(saturation, 'id')).toEqual({ good: 0, 'bad/bad': 0, 'gone/gone': 0, 'held/held': 0.25 })
  // Here no backend takes a second, and the test no minute.
  const soon = since.replace('> 1\n', '> 0\n').replace('[6h:1m]', '[5m:1s]')
  let began: Record<string, number> = {}
  // The step after the second scrape must have come.
  while (Object.keys(began).length < 2) began = await query(soon, 'pool', 'backend')
  expect(Object.keys(began).sort()).toEqual(['bad bad', 'default good'])
  for (const one of Object.values(began)) expect(one).toBeGreaterThan(started / 1_000 - 1)
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
})
