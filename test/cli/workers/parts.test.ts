import { Writable } from 'node:stream'
import fc from 'fast-check'
import { Counter, Gauge, Registry } from 'prom-client'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { AdminStatus } from '../../../src/cli/admin/controls.ts'
import { joinMetrics } from '../../../src/cli/admin/process.ts'
import type { Target } from '../../../src/cli/config/index.ts'
import { lineByLine } from '../../../src/cli/output.ts'
import type { Member } from '../../../src/cli/workers/member.ts'
import type { Report } from '../../../src/cli/workers/messages.ts'
import { Relay } from '../../../src/cli/workers/relay.ts'
import { RestartBackoff } from '../../../src/cli/workers/restart-backoff.ts'
import { shareOf, shareOfPool } from '../../../src/cli/workers/share.ts'
import { FleetStats } from '../../../src/cli/workers/stats.ts'
import { COUNTERS, statusOf } from '../admin/support.ts'
import { DEFAULTS } from '../config/support.ts'

const memberOf = (number: number) => ({ number, isLeaving: false }) as Member

test('the shares of all workers add up to the limit, and each is at least 1', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 256 }), (most, count) => {
      const shares = Array.from({ length: count }, (_, i) => shareOf(most, i + 1, count))
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.max(most, count))
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(1)
    }),
  )
})

test('shares only limited backends', () => {
  const backends: Target[] = [
    { port: 1, weight: 2 },
    { dns: 'a', port: 1, maxConnections: 5 },
  ]
  expect(shareOfPool({ ...DEFAULTS, backends }, 2, 2)).toEqual({
    ...DEFAULTS,
    backends: [backends[0], { dns: 'a', port: 1, maxConnections: 3 }],
  })
})

test('replaces a long-lived worker at once, and delays one that keeps failing', () => {
  const restarts = new RestartBackoff()
  expect(restarts.delayAfter(1, 3_600_000)).toBe(0)
  const delays = Array.from({ length: 10 }, () => restarts.delayAfter(1, 50))
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000])
  expect(restarts.delayAfter(2, 50)).toBe(100)
  expect(restarts.delayAfter(1, 10_000)).toBe(0)
  expect(restarts.delayAfter(1, 50)).toBe(100)
})

test('prints a line once if several workers send it', () => {
  const said: string[] = []
  const relay = new Relay((line) => said.push(line))
  const [a, b] = [memberOf(1), memberOf(2)]
  const hear = (member: Member, line: string) => {
    said.length = 0
    relay.forward(member, line, 'health of x')
    return said.length === 1 && said[0] === line
  }
  expect([hear(a, 'down'), hear(b, 'down')]).toEqual([true, false])
  expect([hear(b, 'up'), hear(a, 'up')]).toEqual([true, false])
  // A worker that repeats its line reports news.
  expect([hear(b, 'up'), hear(a, 'up')]).toEqual([true, false])
  // After that worker has ended, another one may report it.
  relay.forget(b)
  expect([hear(a, 'up'), hear(a, 'up')]).toEqual([false, true])
})

test('prints a line without a subject again after a while', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const said: string[] = []
  const relay = new Relay((line) => said.push(line))
  for (const number of [1, 2]) relay.forward(memberOf(number), 'a hook has thrown', undefined)
  expect(said).toHaveLength(1)
  vi.advanceTimersByTime(60_000)
  relay.forward(memberOf(2), 'a hook has thrown', undefined)
  expect(said).toHaveLength(2)
})

function reportOf(counters: Partial<Report['counters']>, ...backends: AdminStatus[]): Report {
  return { counters: { ...COUNTERS, ...counters }, backends, removed: [], requests: [] }
}

test('merges the reports of several workers', () => {
  const stats = new FleetStats()
  const lastError = { message: 'no', at: 5 }
  stats.update(
    memberOf(2),
    reportOf(
      { accepted: 1, open: 1 },
      statusOf('x', { state: 'down', since: 7, connections: 1, total: 2, maxConnections: 3, retryAt: 9, lastError }),
      statusOf('y'),
    ),
  )
  stats.update(
    memberOf(1),
    reportOf({ accepted: 2, open: 2 }, statusOf('x', { since: 8, connections: 4, total: 8, maxConnections: 4 })),
  )
  expect(stats.counters).toMatchObject({ accepted: 3, open: 3, bytesRead: 2 * COUNTERS.bytesRead })
  // A backend is down if one worker says so. The other may have had no client to notice.
  expect(stats.backends).toEqual([
    statusOf('x', {
      state: 'down',
      since: 7,
      retryAt: 9,
      lastError,
      connections: 5,
      total: 10,
      maxConnections: 7,
    }),
    statusOf('y'),
  ])
})

test('drainedBy has who drains it in any worker', () => {
  const stats = new FleetStats()
  const drained = (by: 'operator' | 'check') => statusOf('x', { draining: true, drainedBy: [by] })
  stats.update(memberOf(1), reportOf({}, drained('check')))
  stats.update(memberOf(2), reportOf({}, drained('operator')))
  stats.update(memberOf(3), reportOf({}, statusOf('x')))
  expect(stats.backends[0]).toMatchObject({ draining: true, drainedBy: ['check', 'operator'] })
})

test('drainingSince is the earliest of all workers', () => {
  const stats = new FleetStats()
  stats.update(memberOf(1), reportOf({}, statusOf('x', { draining: true, drainingSince: 9 }), statusOf('y')))
  stats.update(memberOf(2), reportOf({}, statusOf('x', { draining: true, drainingSince: 7 }), statusOf('y')))
  expect(stats.backends.map(({ drainingSince }) => drainingSince)).toEqual([7, undefined])
})

test('counts connections to removed backends in all workers, leaving ones included', () => {
  const stats = new FleetStats()
  const leaving = { number: 1, isLeaving: true } as Member
  stats.update(leaving, reportOf({}, statusOf('old', { connections: 2, total: 9 }), statusOf('idle', { total: 5 })))
  const removed = [statusOf('old', { connections: 1, total: 1 })]
  stats.update(memberOf(1), { ...reportOf({}, statusOf('x', { connections: 4 })), removed })
  expect(stats.backends).toEqual([statusOf('x', { connections: 4 })])
  expect(stats.removed).toEqual([statusOf('old', { connections: 3, total: 10 })])
  stats.retire(leaving)
  expect(stats.removed).toEqual(removed)
})

test('merging is linear in the number of backends', () => {
  const lookups = (count: number) => {
    let reads = 0
    const backends = Array.from({ length: count }, (_, i) => {
      const status = statusOf(`backend ${i}`)
      return new Proxy(status, {
        get: (target, name) => {
          reads++
          return Reflect.get(target, name)
        },
      })
    })
    const stats = new FleetStats()
    for (const number of [1, 2]) stats.update(memberOf(number), reportOf({}, ...backends))
    expect(stats.backends).toHaveLength(count)
    expect(stats.removed).toEqual([])
    stats.retire(memberOf(3))
    return reads
  }
  expect(lookups(2_000) / lookups(500)).toBeLessThan(5)
})

test('counters never go down while workers come and go', () => {
  const report = fc.record({ member: fc.nat(3), accepted: fc.nat(9), total: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(fc.oneof(report, fc.nat(3))), (steps) => {
      const stats = new FleetStats()
      let members = [1, 2, 3, 4].map(memberOf)
      let counts = members.map(() => ({ accepted: 0, total: 0 }))
      let before = { accepted: 0, total: 0 }
      for (const step of steps) {
        if (typeof step === 'number') {
          stats.retire(members[step]!)
          members = members.with(step, memberOf(step + 1))
          counts = counts.with(step, { accepted: 0, total: 0 })
        } else {
          const { accepted, total } = counts[step.member]!
          const now = { accepted: accepted + step.accepted, total: total + step.total }
          counts = counts.with(step.member, now)
          stats.update(members[step.member]!, reportOf(now, statusOf('x', { total: now.total })))
        }
        const after = { accepted: stats.counters.accepted, total: stats.backends[0]?.total ?? 0 }
        expect(after.accepted).toBeGreaterThanOrEqual(before.accepted)
        expect(after.total).toBeGreaterThanOrEqual(before.total)
        before = after
      }
    }),
  )
})

test('an ended worker has no open connections, and its backends are still known', () => {
  const stats = new FleetStats()
  const member = memberOf(1)
  stats.update(member, reportOf({ open: 3 }, statusOf('x', { connections: 3, total: 4 })))
  stats.retire(member)
  expect(stats.counters.open).toBe(0)
  expect(stats.backends).toEqual([statusOf('x', { connections: 0, total: 4 })])
})

test('joins the metrics of several processes, and leaves none out', async () => {
  const of = async (worker: string) => {
    const registry = new Registry()
    registry.setDefaultLabels({ worker })
    const options = { help: 'Text.', registers: [registry] }
    new Gauge({ ...options, name: 'start_seconds', aggregator: 'omit' }).set(1)
    new Counter({ ...options, name: 'gc_total', labelNames: ['kind'] }).inc({ kind: '#' }, 2)
    return registry.getMetricsAsJSON()
  }
  expect(await joinMetrics([await of('1'), await of('2')])).toBe(
    '# HELP start_seconds Text.\n# TYPE start_seconds gauge\n' +
      'start_seconds{worker="1"} 1\nstart_seconds{worker="2"} 1\n\n' +
      '# HELP gc_total Text.\n# TYPE gc_total counter\n' +
      'gc_total{kind="#",worker="1"} 2\ngc_total{kind="#",worker="2"} 2\n',
  )
})

test('writes buffered lines one by one, and forwards stream errors', async () => {
  const chunks: string[] = []
  let taken: (() => void) | undefined
  const stream = new Writable({
    write: (chunk, _, done) => {
      chunks.push(String(chunk))
      taken = done
    },
    writev: () => expect.unreachable(),
  })
  const lines = lineByLine(stream)
  const written = ['a\n', 'b\n', 'c\n'].map((line) => new Promise((resolve) => lines.write(line, resolve)))
  for (const one of written) {
    taken!()
    await one
  }
  expect(chunks).toEqual(['a\n', 'b\n', 'c\n'])
  const errors: Error[] = []
  lines.on('error', (error) => errors.push(error))
  stream.emit('error', new Error('write EPIPE'))
  expect(errors).toMatchObject([{ message: 'write EPIPE' }])
})
