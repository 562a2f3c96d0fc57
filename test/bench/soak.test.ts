import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Complaint } from '../../bench/common/complaint.ts'
import { blockOf } from '../../bench/report/block.ts'
import { readArguments } from '../../bench/soak/arguments.ts'
import { History, SETTLED_MS } from '../../bench/soak/history.ts'
import { BrokenOff, type Failure, judge, Refused } from '../../bench/soak/judge.ts'
import { eventOf, Mismatch, PERIOD, pieceOf, piecesOf, Verifier } from '../../bench/soak/pattern.ts'
import { Random } from '../../bench/soak/random.ts'
import { drawSoak, formatReport, saveSoak, soakBlock, sparkline } from '../../bench/soak/report.ts'
import { complaintsOf, noCounts, type Soak, slopeOf } from '../../bench/soak/results.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

describe('arguments', () => {
  test('without any it lasts 20 minutes, and its results are kept; the short form keeps none', () => {
    expect(readArguments([])).toMatchObject({ seconds: 1200, isShort: false, workers: 1, out: expect.any(String) })
    expect(readArguments(['--short'])).toMatchObject({ seconds: 45, isShort: true, out: undefined })
    expect(readArguments(['--duration', '2m', '--out', 'x'])).toMatchObject({ seconds: 120, isShort: true, out: 'x' })
    expect(readArguments(['--seed', '5', '--workers', '2'])).toMatchObject({ seed: 5, workers: 2 })
  })

  test.each([
    [['--duration', '0'], /^--duration: got '0'; takes a time, as 45s, 20m or 1h$/],
    [['--duration', '5x'], /^--duration: got '5x'/],
    [['--seed=-1'], /^--seed: got '-1'/],
    [['--seed', 'x'], /^--seed: got 'x'; takes a number from 1 to 9999$/],
    [['--short', '--duration', '5'], /^--short: goes without --duration$/],
    [['--long'], /^Unknown option '--long'$/],
  ])('%j is said to be wrong in one line', (args, message) => {
    expect(() => readArguments(args)).toThrow(Complaint)
    expect(() => readArguments(args)).toThrow(message)
  })
})

describe('bodies', () => {
  const LENGTH = 200_000
  const body = () => Buffer.concat([...piecesOf(7, LENGTH)])
  /** What is made of a body that comes in pieces of that size, up to its end. */
  const verify = (bytes: Buffer, size = 1_000, length = LENGTH) => {
    const verifier = new Verifier(7, length)
    for (let at = 0; at < bytes.length; at += size) verifier.push(bytes.subarray(at, at + size))
    verifier.end()
  }

  test.each([1, 999, 65_536, LENGTH])('a right one passes, in pieces of %d bytes', (size) => {
    const whole = body()
    expect(() => verify(whole, size)).not.toThrow()
    expect(() => verify(Buffer.alloc(0), size, 0)).not.toThrow()
  })

  test('each byte that is another is found, wherever it is', () => {
    const random = new Random(1)
    const whole = body()
    for (let i = 0; i < 300; i++) {
      const at = i === 0 ? LENGTH - 1 : i === 1 ? 0 : random.between(0, LENGTH - 1)
      whole[at]! ^= 1
      expect(() => verify(whole), `byte ${at}`).toThrow(new RegExp(`^byte ${at} of ${LENGTH} is`))
      whole[at]! ^= 1
    }
  })

  test('a piece that is missing, doubled, of another body, or too many is found', () => {
    const whole = body()
    const [from, to] = [65_536, 131_072]
    const without = Buffer.concat([whole.subarray(0, from), whole.subarray(to)])
    const doubled = Buffer.concat([whole.subarray(0, to), whole.subarray(from)])
    const swapped = Buffer.concat([whole.subarray(0, from), pieceOf(8, from, to - from), whole.subarray(to)])
    for (const bytes of [without, doubled, swapped]) expect(() => verify(bytes)).toThrow(Mismatch)
    expect(() => verify(Buffer.concat([whole, Buffer.from('x')]))).toThrow(`1 bytes too many after ${LENGTH}`)
    expect(() => verify(whole.subarray(0, -1))).toThrow(`whole after ${LENGTH - 1} bytes of ${LENGTH}`)
  })

  test('bodies go on past their period, and an event is like no other', () => {
    expect(pieceOf(0, PERIOD, 100)).toEqual(pieceOf(0, 0, 100))
    expect(pieceOf(0, PERIOD - 1, 100).subarray(1)).toEqual(pieceOf(0, 0, 99))
    const events = Array.from({ length: 200 }, (_, i) => eventOf(1, i).toString())
    expect(new Set(events).size).toBe(200)
    expect(eventOf(2, 5)).not.toEqual(eventOf(1, 5))
  })
})

describe('the judge', () => {
  // 'a' is killed at 100, has ended at 110, and is back at 200; 'b' goes from 5000 to 5100.
  const history = (() => {
    let now = 100
    const made = new History(() => now)
    const a = made.begin('a')
    now = 110
    a.ended()
    now = 200
    a.back()
    now = 5000
    const b = made.begin('b')
    now = 5010
    b.ended()
    now = 5100
    b.back()
    return made
  })()
  const verdict = (from: number, to: number, error: unknown, backend?: string) => {
    const failure: Failure = { from, to, error, backend }
    return judge(failure, history, ['a', 'b'])
  }
  const isFault = { fault: expect.any(String) }

  test('what broke off is accounted for by the end of its backend, while it was open', () => {
    const broken = new BrokenOff('ECONNRESET')
    expect(verdict(0, 120, broken, 'a')).toBe('broken')
    expect(verdict(0, 120, broken)).toBe('broken')
    expect(verdict(105, 120, broken, 'a')).toBe('broken')
    expect(verdict(0, 99, broken, 'a')).toEqual(isFault)
    expect(verdict(0, 120, broken, 'b')).toEqual(isFault)
    expect(verdict(111, 190, broken, 'a')).toEqual(isFault)
    expect(verdict(1000, 2000, broken)).toEqual(isFault)
  })

  test('a 502 takes a backend that ended, a 503 the absence of all; neither comes after an answer', () => {
    expect(verdict(0, 120, new Refused(502))).toBe('unavailable')
    expect(verdict(0, 99, new Refused(502))).toEqual(isFault)
    expect(verdict(0, 120, new Refused(502), 'a')).toEqual(isFault)
    expect(verdict(120, 130, new Refused(503))).toEqual(isFault)
    const settled = 5100 + SETTLED_MS
    expect(verdict(5000, 5050, new Refused(503))).toEqual(isFault)
    expect(verdict(settled + 1, settled + 2, new Refused(503))).toEqual(isFault)
    const nobody = new History(() => 100)
    for (const name of ['a', 'b']) nobody.begin(name)
    const failure = { from: 150, to: 160, error: new Refused(503) }
    expect(judge(failure, nobody, ['a', 'b'])).toBe('unavailable')
    expect(judge({ ...failure, error: new BrokenOff('EPIPE') }, nobody, ['a', 'b'])).toBe('broken')
    expect(judge(failure, nobody, ['a', 'b', 'c'])).toEqual(isFault)
    expect(judge({ ...failure, from: 10, to: 90 }, nobody, ['a', 'b'])).toEqual(isFault)
  })

  test('a wrong byte, a status of no reason and any other error are faults, whatever happened', () => {
    expect(verdict(0, 120, new Mismatch('byte 5'))).toEqual({ fault: 'Mismatch: byte 5' })
    for (const status of [200, 400, 500, 504]) expect(verdict(0, 120, new Refused(status))).toEqual(isFault)
    expect(verdict(0, 120, new Error('no byte for 60 s'), 'a')).toEqual(isFault)
  })

  test('one that has just come back is not known to be up', () => {
    expect(history.wasUp('a', 0, 99)).toBe(true)
    expect(history.wasUp('a', 0, 100)).toBe(false)
    expect(history.wasUp('a', 200 + SETTLED_MS, 200 + SETTLED_MS)).toBe(false)
    expect(history.wasUp('a', 201 + SETTLED_MS, 99_999)).toBe(true)
  })
})

describe('results', () => {
  const delay = { p50: 0.1, p99: 3, max: 20 }
  const samples = Array.from({ length: 12 }, (_, i) => ({
    at: 10 * (i + 1),
    rss: (80 + i) * 2 ** 20,
    heap: 12 * 2 ** 20,
    external: 2 ** 20,
    ...(i % 6 === 5 ? { clean: 10 * 2 ** 20 } : {}),
    delay,
    open: 60,
  }))
  const good: Soak = {
    date: '2001-02-03T04:05:06.000Z',
    commit: '0123456789abcdef',
    isDirty: false,
    machine: { cpu: 'Example CPU', cores: 2, memory: 2 ** 32, kernel: 'Linux 6.1' },
    versions: { node: '20.19.5' },
    isShort: true,
    ...{ seed: 5, workers: 1, seconds: 120, connections: 1_234, sent: 2 ** 20, received: 2 ** 21 },
    exchanges: { download: { ...noCounts(), complete: 5, broken: 2 }, abort: { ...noCounts(), aborted: 1_000 } },
    ...{ backends: { kills: 3, blackouts: 1, pauses: 2 }, mismatches: 0, faults: [], faultCount: 0 },
    sockets: { before: 4, after: 4 },
    clean: { before: 9 * 2 ** 20, after: 10 * 2 ** 20 },
    delay,
    samples,
  }

  test('nothing to complain of is said of a good one; each thing that is wrong has its line', () => {
    expect(complaintsOf(good)).toEqual([])
    expect(complaintsOf({ ...good, faults: ['one', 'two'], faultCount: 5 })).toEqual(['one', 'two', 'and 3 more'])
    expect(complaintsOf({ ...good, sockets: { before: 4, after: 6 } })).toEqual(['2 sockets were left open'])
    const clean = { before: 0, after: 20 * 2 ** 20 }
    expect(complaintsOf({ ...good, clean })).toEqual(['the heap has grown by 20.0 MB'])
    const exchanges = { ...good.exchanges, idle: { ...noCounts(), broken: 9 } }
    expect(complaintsOf({ ...good, exchanges })).toEqual(['idle: nothing of it was done'])
  })

  test('the slope is that of the second half', () => {
    expect(slopeOf(samples, ({ rss }) => rss) / 2 ** 20).toBeCloseTo(6)
    expect(slopeOf(samples, ({ at }) => (at < 60 ? 1e9 : 5))).toBeCloseTo(0)
    expect(slopeOf([], () => 1)).toBe(0)
  })

  test('the report has a line for each kind of client and for memory, with a chart; the document the same', () => {
    const text = formatReport(good)
    expect(text).toMatch(/^download +5 +0 +0 +2 +0$/m)
    expect(text).toMatch(/^in all +5 +1,000 +0 +2 +0$/m)
    expect(text).toMatch(/^RSS +80\.0 +91\.0 +91\.0 +\+6\.00 +▇+█+$/m)
    expect(text).toContain(
      '1,234 connections (60 at a time), 2.00 MB to clients and 1.00 MB from them\n0 mismatches, 0 faults\n',
    )
    expect(text).toContain('2:00 minutes, 1 worker, seed 5; 2001-02-03, commit 0123456789')
    expect(soakBlock(good)).toContain('| RSS | 80.0 | 91.0 | 91.0 | +6.00 |')
  })

  test('what is kept stands in the long document, and not in the short one', () => {
    const folder = temporaryDirectory()
    expect(saveSoak(good, folder)).toEqual([join(folder, 'soak.json'), join(folder, 'soak.svg')])
    const block = blockOf(folder, 'results', true)
    expect(block).toContain(soakBlock(good))
    expect(block).toContain('![soak](results/soak.svg)')
    expect(blockOf(folder, 'results', false)).not.toContain('oak')
  })

  test('a chart in characters shows the most of each part, from 0 on', () => {
    expect(sparkline([0, 7, 0, 0], 4)).toBe('▁█▁▁')
    expect(sparkline([0, 7, 0, 0], 2)).toBe('█▁')
    expect(sparkline([0, 0])).toBe('▁▁')
  })

  test('the chart has a line for each course, also where some samples have no value', () => {
    const svg = drawSoak(good)
    for (const name of ['RSS', 'heap after GC', 'delay p99', 'event-loop delay, ms']) expect(svg).toContain(name)
    expect(svg).not.toContain('NaN')
  })
})
