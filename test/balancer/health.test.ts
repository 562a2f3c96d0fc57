import { once } from 'node:events'
import http from 'node:http'
import { describe, expect, it } from 'vitest'
import { createServer } from '../../src/index.ts'
import { connect, deadPort, listen } from '../helpers/net.ts'
import { balancerOf, choose, chooseMany, eventsOf, Named, statusOf } from './support.ts'

describe('checks', () => {
  it('take a backend down before a client goes there, and up again', async () => {
    let status = 200
    const server = http.createServer((_, response) => {
      response.statusCode = status
      response.end()
    })
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await listen(server), id: 'sick' },
        { port: alive.port, id: 'alive' },
      ],
      health: { path: '/healthz', interval: 10, rise: 2, fall: 2 },
    })
    const events = eventsOf(balancer)
    status = 500
    const [down, error] = await once(balancer, 'down')
    expect(down).toMatchObject({ id: 'sick', state: 'down', failures: 0, lastError: { message: error.message } })
    expect(down.retryAt).toBeTypeOf('number')
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['alive']))
    status = 204
    const [up] = await once(balancer, 'up')
    expect(up).toMatchObject({ id: 'sick', state: 'up', retryAt: undefined })
    expect(up.since).toBeGreaterThanOrEqual(down.since)
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['alive', 'sick']))
    expect(events).toEqual(['down sick', 'up sick'])
    expect(alive.requests.every(({ line }) => line === 'GET /healthz')).toBe(true)
  })

  it('begin when a backend is added', async () => {
    const balancer = balancerOf({ health: { interval: 10 } })
    const down = once(balancer, 'down')
    balancer.add({ port: await deadPort(), id: 'dead' })
    expect(choose(balancer)).toBe('dead')
    const [status, error] = await down
    expect([status.id, error.code]).toEqual(['dead', 'ECONNREFUSED'])
    expect(choose(balancer)).toBeUndefined()
  })

  it('do not count as client connections', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [{ port: alive.port, id: 'alive', maxConnections: 1 }],
      health: { path: '/', interval: 5 },
    })
    const { lookup, errback } = balancer
    const client = await connect(await listen(createServer({ lookup, errback })))
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until('I am alive')
    expect(statusOf(balancer, 'alive')).toMatchObject({ connections: 1, total: 1, state: 'up' })
  })
})
