import { describe, expect, test } from 'vitest'
import { History, SETTLED_MS } from './history.ts'
import { BrokenOff, judge, noCounts, Refused } from './judge.ts'
import { eventOf, Mismatch, PERIOD, pieceOf, piecesOf, Verifier } from './pattern.ts'
import { Random } from './random.ts'
import { failuresOf, type Soak } from './run.ts'

describe('Verifier', () => {
  const LENGTH = 200_000
  const body = () => Buffer.concat([...piecesOf(7, LENGTH)])
  const verify = (bytes: Buffer, size = 1_000, length = LENGTH) => {
    const verifier = new Verifier(7, length)
    for (let at = 0; at < bytes.length; at += size) verifier.push(bytes.subarray(at, at + size))
    verifier.end()
  }

  test.each([1, 999, 65_536, LENGTH])('accepts the right body in chunks of %d bytes', (size) => {
    expect(() => verify(body(), size)).not.toThrow()
    expect(() => verify(Buffer.alloc(0), size, 0)).not.toThrow()
  })

  test('finds a wrong byte anywhere', () => {
    const random = new Random(1)
    const bytes = body()
    const offsets = [0, LENGTH - 1, ...Array.from({ length: 300 }, () => random.between(0, LENGTH - 1))]
    for (const at of offsets) {
      bytes[at]! ^= 1
      expect(() => verify(bytes), `byte ${at}`).toThrow(new RegExp(`^byte ${at} of ${LENGTH} is`))
      bytes[at]! ^= 1
    }
  })

  test('finds missing, doubled, foreign and surplus bytes', () => {
    const bytes = body()
    const [from, to] = [65_536, 131_072]
    const without = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
    const doubled = Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
    const foreign = Buffer.concat([bytes.subarray(0, from), pieceOf(8, from, to - from), bytes.subarray(to)])
    for (const wrong of [without, doubled, foreign]) expect(() => verify(wrong)).toThrow(Mismatch)
    expect(() => verify(Buffer.concat([bytes, Buffer.from('x')]))).toThrow(`1 bytes too many after ${LENGTH}`)
    expect(() => verify(bytes.subarray(0, -1))).toThrow(`complete after ${LENGTH - 1} bytes of ${LENGTH}`)
  })

  test('has bodies longer than the period, and events that all differ', () => {
    expect(pieceOf(0, PERIOD, 100)).toEqual(pieceOf(0, 0, 100))
    expect(pieceOf(0, PERIOD - 1, 100).subarray(1)).toEqual(pieceOf(0, 0, 99))
    expect(new Set(Array.from({ length: 200 }, (_, i) => eventOf(1, i).toString())).size).toBe(200)
    expect(eventOf(2, 5)).not.toEqual(eventOf(1, 5))
  })
})

describe('judge', () => {
  // 'a' is killed at 100, has ended at 110 and is back at 200. 'b' is killed at 5000, has ended at 5010, is back at 5100.
  let now = 0
  const history = new History(() => now)
  for (const [backend, from, ended, back] of [['a', 100, 110, 200] as const, ['b', 5000, 5010, 5100] as const]) {
    now = from
    const outage = history.begin(backend)
    now = ended
    outage.ended()
    now = back
    outage.back()
  }
  const verdict = (from: number, to: number, error: unknown, backend?: string) =>
    judge({ from, to, error, backend }, history, ['a', 'b'])
  const isFault = { fault: expect.any(String) }

  test('accepts a broken connection when its backend ended while it was open', () => {
    const broken = new BrokenOff('ECONNRESET')
    expect(verdict(0, 120, broken, 'a')).toBe('broken')
    expect(verdict(0, 120, broken)).toBe('broken')
    expect(verdict(105, 120, broken, 'a')).toBe('broken')
    expect(verdict(0, 99, broken, 'a')).toEqual(isFault)
    expect(verdict(0, 120, broken, 'b')).toEqual(isFault)
    expect(verdict(111, 190, broken, 'a')).toEqual(isFault)
    expect(verdict(1000, 2000, broken)).toEqual(isFault)
  })

  test('accepts a 502 when a backend ended and a 503 when all are down, but not after an answer', () => {
    expect(verdict(0, 120, new Refused(502))).toBe('unavailable')
    expect(verdict(0, 99, new Refused(502))).toEqual(isFault)
    expect(verdict(0, 120, new Refused(502), 'a')).toEqual(isFault)
    expect(verdict(120, 130, new Refused(503))).toEqual(isFault)
    expect(verdict(5000, 5050, new Refused(503))).toEqual(isFault)
    const settled = 5100 + SETTLED_MS
    expect(verdict(settled + 1, settled + 2, new Refused(503))).toEqual(isFault)
    const allDown = new History(() => 100)
    for (const name of ['a', 'b']) allDown.begin(name)
    const failure = { from: 150, to: 160, error: new Refused(503) }
    expect(judge(failure, allDown, ['a', 'b'])).toBe('unavailable')
    expect(judge({ ...failure, error: new BrokenOff('EPIPE') }, allDown, ['a', 'b'])).toBe('broken')
    expect(judge(failure, allDown, ['a', 'b', 'c'])).toEqual(isFault)
    expect(judge({ ...failure, from: 10, to: 90 }, allDown, ['a', 'b'])).toEqual(isFault)
  })

  test('calls a wrong byte, another status and any other error a fault', () => {
    expect(verdict(0, 120, new Mismatch('byte 5'))).toEqual({ fault: 'Mismatch: byte 5' })
    for (const status of [200, 400, 500, 504]) expect(verdict(0, 120, new Refused(status))).toEqual(isFault)
    expect(verdict(0, 120, new Error('no byte for 60 s'), 'a')).toEqual(isFault)
  })

  test('does not count a backend as up until it has settled', () => {
    expect(history.wasUp('a', 0, 99)).toBe(true)
    expect(history.wasUp('a', 0, 100)).toBe(false)
    expect(history.wasUp('a', 200 + SETTLED_MS, 200 + SETTLED_MS)).toBe(false)
    expect(history.wasUp('a', 201 + SETTLED_MS, 99_999)).toBe(true)
  })
})

test('a soak fails on faults, on sockets and heap left over, and on a client that did nothing', () => {
  const idle = { sockets: 4, heap: 9e6, resident: 9e7 }
  const good: Soak = {
    traffic: { connections: 1_234, open: 0, sent: 2 ** 20, received: 2 ** 21 },
    exchanges: { download: { ...noCounts(), complete: 5, broken: 2 }, abort: { ...noCounts(), aborted: 1_000 } },
    ...{ backends: { kills: 3, blackouts: 1, pauses: 2 }, faults: [], faultCount: 0, before: idle, after: idle },
  }
  expect(failuresOf(good)).toEqual([])
  expect(failuresOf({ ...good, faults: ['one', 'two'], faultCount: 5 })).toEqual(['one', 'two', 'and 3 more'])
  expect(failuresOf({ ...good, after: { ...idle, sockets: 6 } })).toEqual(['2 sockets were left open'])
  expect(failuresOf({ ...good, after: { ...idle, heap: idle.heap + 20 * 2 ** 20 } })).toEqual([
    'the heap has grown by 20.0 MiB',
  ])
  const exchanges = { ...good.exchanges, idle: { ...noCounts(), broken: 9 } }
  expect(failuresOf({ ...good, exchanges })).toEqual(['idle: no exchange was completed'])
})
