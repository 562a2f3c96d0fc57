import { once } from 'node:events'
import http from 'node:http'
import { expect, test } from 'vitest'
import type { HealthOptions } from '../../../src/balancer/index.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { balancerOf, choose, comeBack, eventsOf, statusOf, stickyOf } from '../support.ts'
import { refusal, SOON, Watched } from './support.ts'

expectNoWarnings()

const HEALTH: HealthOptions = { ...SOON, path: '/', drainStatus: 404, rise: 2, fall: 2 }

/** A server whose checks get the status that is set. */
async function start(status = 200) {
  const server = http.createServer((_, response) => void response.writeHead(checked.status).end())
  const checked = { status, port: 0 }
  checked.port = await listen(server)
  return checked
}

/** A balancer with a backend 'a' that is checked so. */
async function balance(status = 200, health: HealthOptions = HEALTH) {
  const checked = await start(status)
  const options = { backends: [{ port: checked.port, id: 'a' }] }
  const balancer = balancerOf({ ...options, health })
  const heard = eventsOf(balancer)
  return { checked, options, balancer, heard }
}

test('a backend whose checks get the status keeps its own clients and takes no others, until they get another', async () => {
  const { checked, balancer, heard } = await balance()
  checked.status = 404
  const [draining] = await once(balancer, 'drain')
  expect(draining).toMatchObject({ id: 'a', state: 'up', draining: true, drainedBy: ['check'], lastError: undefined })
  expect(draining.drainingSince).toBeTypeOf('number')
  expect(choose(balancer)).toBe(undefined)
  expect(comeBack(balancer, stickyOf('a'))).toBe('a')
  checked.status = 200
  const [ready] = await once(balancer, 'ready')
  expect(ready).toMatchObject({ draining: false, drainingSince: undefined, drainedBy: [] })
  expect(choose(balancer)).toBe('a')
  expect(heard).toEqual(['drain a', 'ready a'])
})

test("a check does not undo an operator's drain, and an operator not that of a check", async () => {
  const { checked, balancer, heard } = await balance(404)
  await once(balancer, 'drain')
  balancer.ready('a')
  expect(statusOf(balancer, 'a')).toMatchObject({ draining: true, drainedBy: ['check'] })
  balancer.drain('a')
  const { drainingSince } = statusOf(balancer, 'a')
  expect(statusOf(balancer, 'a').drainedBy.sort()).toEqual(['check', 'operator'])
  checked.status = 200
  while (statusOf(balancer, 'a').drainedBy.includes('check')) await turns(1)
  expect(statusOf(balancer, 'a')).toMatchObject({ draining: true, drainedBy: ['operator'], drainingSince })
  expect(heard).toEqual(['drain a'])
  balancer.ready('a')
  expect(heard).toEqual(['drain a', 'ready a'])
})

test('failed checks take it down as usual, and it comes back as its checks say', async () => {
  const { checked, balancer, heard } = await balance(404)
  await once(balancer, 'drain')
  checked.status = 500
  const [down] = await once(balancer, 'down')
  // What failed says nothing about the drain.
  expect(down).toMatchObject({ state: 'down', draining: true })
  expect(down.lastError.message).toMatch(/expected 200-399,404, got 500$/)
  checked.status = 404
  const [up] = await once(balancer, 'up')
  expect(up).toMatchObject({ state: 'up', draining: true })
  checked.status = 500
  await once(balancer, 'down')
  checked.status = 200
  await once(balancer, 'up')
  expect(heard).toEqual(['drain a', 'down a', 'up a', 'down a', 'ready a', 'up a'])
})

test('a backend that comes up and drains gets no new client in between', async () => {
  const { checked, balancer } = await balance(500)
  await once(balancer, 'down')
  const given: unknown[] = []
  balancer.on('drain', () => given.push(choose(balancer)))
  balancer.on('up', () => given.push(choose(balancer)))
  checked.status = 404
  await once(balancer, 'up')
  expect(given).toEqual([undefined, undefined])
})

test('the status wins over one that is expected', async () => {
  const { balancer } = await balance(204, { ...HEALTH, drainStatus: '200-299' })
  await once(balancer, 'drain')
})

test('an update without the status ends the drain with the next check, one without checks at once', async () => {
  for (const health of [{ ...HEALTH, drainStatus: undefined, status: '200-404' }, undefined]) {
    const { options, balancer } = await balance(404)
    await once(balancer, 'drain')
    balancer.drain('a')
    const ready = new Promise((resolve) => balancer.once('ready', resolve))
    balancer.ready('a')
    balancer.update({ ...options, health })
    await ready
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'up', draining: false })
  }
})

test('a listener that stops the checks hears nothing more', async () => {
  const { port } = await start(404)
  const watched = new Watched({ port, host: '127.0.0.1' }, { health: { ...HEALTH, rise: 1 } })
  watched.health.failed(refusal())
  const heard: string[] = []
  await new Promise<void>((resolve) => {
    watched.passed = (drains) => {
      heard.push(`passed ${drains}`)
      watched.health.stop()
      resolve()
    }
  })
  expect([...heard, ...watched.news]).toEqual(['passed true', 'down ECONNREFUSED'])
})
