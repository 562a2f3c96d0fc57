import { once } from 'node:events'
import http from 'node:http'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { BackendHistory, Balancer } from '../../src/balancer/index.ts'
import { createServer } from '../../src/proxy/index.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { turns } from '../helpers/turns.ts'
import { SOON } from './health/support.ts'
import { ask, balancerOf, misbehave, Named } from './support.ts'

const A = { port: 1, id: 'a' }
const B = { port: 2, id: 'b' }

/** The history of 'a' once it has more checks than these. */
async function afterMore(balancer: Balancer, { checks }: BackendHistory): Promise<BackendHistory> {
  for (;;) {
    const now = balancer.history('a')
    if (now.checks[0] && now.checks[0].at !== checks[0]?.at) return now
    await turns(1)
  }
}

const NONE: BackendHistory = { checks: [], transitions: [] }

it('has the last checks, the newest first', async () => {
  let status = 204
  const server = http.createServer((_, response) => void response.writeHead(status).end())
  const health = { ...SOON, path: '/', fall: 1 }
  const balancer = balancerOf({ backends: [{ port: await listen(server), id: 'a' }], health })
  const before = Date.now()
  const first = await afterMore(balancer, NONE)
  const [check] = first.checks
  expect(check).toEqual({ at: check!.at, duration: check!.duration, passed: true, status: 204, error: undefined })
  expect(check!.at).toBeGreaterThanOrEqual(before)
  expect(check!.at).toBeLessThanOrEqual(Date.now())
  expect(check!.duration).toBeGreaterThanOrEqual(0)
  expect(first.transitions).toEqual([])
  status = 500
  await once(balancer, 'down')
  const failed = balancer.history('a')
  const error = 'CHECK_BAD_STATUS: the response has another status than is expected: expected 200-399, got 500'
  expect(failed.checks[0]).toMatchObject({ passed: false, status: 500, error })
  expect(failed.checks[1]).toMatchObject({ passed: true, status: 204 })
  expect(failed.transitions).toMatchObject([{ to: 'down', cause: error }])
  for (let i = 0, seen = failed; i < 12; i++) seen = await afterMore(balancer, seen)
  const { checks } = balancer.history('a')
  expect(checks).toHaveLength(10)
  expect(checks.map(({ at }) => at)).toEqual(checks.map(({ at }) => at).sort((one, other) => other - one))
  expect(checks.some(({ passed }) => passed)).toBe(false)
})

it('has checks without a response, and those that ask whether a backend is back', async () => {
  const path = join(temporaryDirectory(), 'app.sock')
  const balancer = balancerOf({ backends: [{ path, id: 'a' }], backoff: { min: 5, max: 20 } })
  const { lookup, errback } = balancer
  await ask(await listen(createServer({ lookup, errback })))
  const [failed] = (await afterMore(balancer, NONE)).checks
  expect(failed).toMatchObject({ passed: false, status: undefined, error: `connect ENOENT ${path}` })
  const up = once(balancer, 'up')
  await new Named('back').listen({ path })
  await up
  const { checks, transitions } = balancer.history('a')
  expect(checks[0]).toMatchObject({ passed: true, status: undefined, error: undefined })
  expect(transitions).toMatchObject([
    { to: 'up', cause: undefined },
    { to: 'down', cause: `connect ENOENT ${path}` },
  ])
})

it('has the last transitions with their causes, the newest first', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'], now: 1_000 })
  onTestFinished(() => void vi.useRealTimers())
  const balancer = balancerOf({ backends: [A, B], eject: { failures: 1, min: 10, max: 10 } })
  balancer.drain('a')
  balancer.drain('a')
  balancer.ready('a')
  balancer.setWeight('a', 5)
  balancer.setWeight('a', 5)
  balancer.update({ backends: [{ ...A, weight: 2 }, B], eject: { failures: 1, min: 10, max: 10 } })
  balancer.setWeight('a', undefined)
  balancer.update({ backends: [A, B], eject: { failures: 1, min: 10, max: 10 } })
  misbehave(balancer, 'a')
  vi.advanceTimersByTime(20)
  const of = (to: string, cause?: string, weight?: number) => ({ at: 1_000, to, cause, weight })
  expect(balancer.history('a').transitions).toEqual([
    { ...of('returned'), at: expect.any(Number) },
    of('ejected', 'it answered 503'),
    of('weight', 'options', 1),
    of('weight', 'operator', 2),
    of('weight', 'operator', 5),
    of('ready', 'operator'),
    of('draining', 'operator'),
  ])
  expect(balancer.history('a').transitions[0]!.at).toBeGreaterThan(1_000)
  expect(balancer.history('b')).toEqual(NONE)
})

it('has at most 20 transitions, and is a copy', () => {
  const balancer = balancerOf({ backends: [A] })
  for (let i = 1; i <= 25; i++) balancer.setWeight('a', i + 1)
  const { transitions } = balancer.history('a')
  expect(transitions.map(({ weight }) => weight)).toEqual(Array.from({ length: 20 }, (_, i) => 26 - i))
  transitions[0]!.to = 'down'
  transitions.pop()
  expect(balancer.history('a').transitions).toHaveLength(20)
  expect(balancer.history('a').transitions[0]!.to).toBe('weight')
})

it('stays through updates, and begins anew with another address', () => {
  const balancer = balancerOf({ backends: [A] })
  balancer.drain('a')
  balancer.update({ backends: [A], health: { interval: 60_000 } })
  expect(balancer.history('a').transitions).toMatchObject([{ to: 'draining' }])
  balancer.update({ backends: [{ port: 2, id: 'a' }] })
  expect(balancer.history('a')).toEqual(NONE)
})
