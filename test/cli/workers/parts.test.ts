import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { joinMetrics } from '../../../src/cli/admin/process.ts'
import { lineByLine } from '../../../src/cli/service/output.ts'
import type { Member } from '../../../src/cli/workers/member.ts'
import type { Report } from '../../../src/cli/workers/messages.ts'
import { News } from '../../../src/cli/workers/news.ts'
import { Restarts } from '../../../src/cli/workers/restart.ts'
import { portionOf, shareOf } from '../../../src/cli/workers/share.ts'
import { Tally } from '../../../src/cli/workers/tally.ts'
import type { BackendStatus, Counters } from '../../../src/index.ts'
import { COUNTERS, statusOf } from '../admin/support.ts'

const memberOf = (number: number) => ({ number, isLeaving: false }) as Member

test('the shares of all workers are the whole, and none is without', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 256 }), (most, count) => {
      const shares = Array.from({ length: count }, (_, i) => shareOf(most, i + 1, count))
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.max(most, count))
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(1)
    }),
  )
})

test('only what is limited is shared', () => {
  expect(portionOf({ port: 1, weight: 2 }, 1, 2)).toEqual({ port: 1, weight: 2 })
  expect(portionOf({ dns: 'a', port: 1, maxConnections: 5 }, 2, 2)).toEqual({ dns: 'a', port: 1, maxConnections: 3 })
})

test('one that has lived is replaced at once; one that ends young again and again is waited for', () => {
  const restarts = new Restarts()
  expect(restarts.delayAfter(1, 3_600_000)).toBe(0)
  const delays = Array.from({ length: 10 }, () => restarts.delayAfter(1, 50))
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000])
  expect(restarts.delayAfter(2, 50)).toBe(100)
  expect(restarts.delayAfter(1, 10_000)).toBe(0)
  expect(restarts.delayAfter(1, 50)).toBe(100)
})

test('what another has said last is not said again, and what is new is', () => {
  const said: string[] = []
  const news = new News((line) => said.push(line))
  const [a, b] = [memberOf(1), memberOf(2)]
  const hear = (member: Member, line: string) => {
    said.length = 0
    news.hear(member, line, 'health of x')
    return said.length === 1 && said[0] === line
  }
  expect([hear(a, 'down'), hear(b, 'down')]).toEqual([true, false])
  expect([hear(b, 'up'), hear(a, 'up')]).toEqual([true, false])
  // The same again from the same is news.
  expect([hear(b, 'up'), hear(a, 'up')]).toEqual([true, false])
  // When whoever said it is gone, another may go on.
  news.forget(b)
  expect([hear(a, 'up'), hear(a, 'up')]).toEqual([false, true])
})

test('what is the news of nothing in particular is news again after a while', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const said: string[] = []
  const news = new News((line) => said.push(line))
  for (const number of [1, 2]) news.hear(memberOf(number), 'a hook has thrown', undefined)
  expect(said).toHaveLength(1)
  vi.advanceTimersByTime(60_000)
  news.hear(memberOf(2), 'a hook has thrown', undefined)
  expect(said).toHaveLength(2)
})

function reportOf(counters: Partial<Counters>, ...backends: BackendStatus[]): Report {
  return { counters: { ...COUNTERS, ...counters }, backends, metrics: undefined }
}

test('the reports of several are those of one', () => {
  const tally = new Tally()
  const lastError = { message: 'no', at: 5 }
  tally.update(
    memberOf(2),
    reportOf(
      { accepted: 1, open: 1 },
      statusOf('x', { state: 'down', since: 7, connections: 1, total: 2, maxConnections: 3, retryAt: 9, lastError }),
      statusOf('y'),
    ),
  )
  tally.update(
    memberOf(1),
    reportOf({ accepted: 2, open: 2 }, statusOf('x', { since: 8, connections: 4, total: 8, maxConnections: 4 })),
  )
  expect(tally.counters).toMatchObject({ accepted: 3, open: 3, bytesRead: 2 * COUNTERS.bytesRead })
  // Down where one says so: the other may have had nobody to find out with.
  expect(tally.backends).toEqual([
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

test('nothing that is counted ever goes down, whoever comes and goes', () => {
  const report = fc.record({ member: fc.nat(3), accepted: fc.nat(9), total: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(fc.oneof(report, fc.nat(3))), (steps) => {
      const tally = new Tally()
      let members = [1, 2, 3, 4].map(memberOf)
      let counts = members.map(() => ({ accepted: 0, total: 0 }))
      let before = { accepted: 0, total: 0 }
      for (const step of steps) {
        if (typeof step === 'number') {
          tally.retire(members[step]!)
          members = members.with(step, memberOf(step + 1))
          counts = counts.with(step, { accepted: 0, total: 0 })
        } else {
          const { accepted, total } = counts[step.member]!
          const now = { accepted: accepted + step.accepted, total: total + step.total }
          counts = counts.with(step.member, now)
          tally.update(members[step.member]!, reportOf(now, statusOf('x', { total: now.total })))
        }
        const after = { accepted: tally.counters.accepted, total: tally.backends[0]?.total ?? 0 }
        expect(after.accepted).toBeGreaterThanOrEqual(before.accepted)
        expect(after.total).toBeGreaterThanOrEqual(before.total)
        before = after
      }
    }),
  )
})

test('nothing is open in one that is gone, and its backends are still known', () => {
  const tally = new Tally()
  const member = memberOf(1)
  tally.update(member, reportOf({ open: 3 }, statusOf('x', { connections: 3, total: 4 })))
  tally.retire(member)
  expect(tally.counters.open).toBe(0)
  expect(tally.backends).toEqual([statusOf('x', { connections: 0, total: 4 })])
})

test('the texts of several processes are joined metric by metric', () => {
  const text = (worker: string) =>
    `# HELP a_total It counts.\n# TYPE a_total counter\na_total{worker="${worker}"} 1\n\n` +
    `# HELP b It is.\n# TYPE b gauge\nb{x="#",worker="${worker}"} 2\nb{x="y",worker="${worker}"} 3\n`
  expect(joinMetrics([text('1'), text('2')])).toBe(
    '# HELP a_total It counts.\n# TYPE a_total counter\na_total{worker="1"} 1\na_total{worker="2"} 1\n\n' +
      '# HELP b It is.\n# TYPE b gauge\n' +
      'b{x="#",worker="1"} 2\nb{x="y",worker="1"} 3\nb{x="#",worker="2"} 2\nb{x="y",worker="2"} 3\n\n',
  )
})

test('lines that wait are written one by one, and an error of the stream is told', async () => {
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
