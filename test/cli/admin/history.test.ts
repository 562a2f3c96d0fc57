import { expect, test } from 'vitest'

// Tests the modules of the page that do not need a browser.
const folder = new URL('../../../src/cli/admin/static/', import.meta.url).href
const { ago, bytes, count, countStates, duration, perSecond, plural } = await import(`${folder}format.js`)
const { History, SPAN_S } = await import(`${folder}history.js`)

const NARROW = '\u202f'

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [999, '999 B'],
  [999.6, '1.00 kB'],
  [1_000, '1.00 kB'],
  [9_994, '9.99 kB'],
  [9_996, '10.0 kB'],
  [99_949, '99.9 kB'],
  [99_960, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [1_234_567_890, '1.23 GB'],
  [5e15, '5.00 PB'],
  [5e18, '5000 PB'],
])('formats %d bytes as %s', (n, text) => {
  expect(bytes(n)).toBe(text.replace(' ', NARROW))
})

test.each([
  [0, '0'],
  [0.04, '<0.1'],
  [0.1, '0.1'],
  [9.94, '9.9'],
  [9.96, '10'],
  [1_234.5, '1,235'],
])('formats %d per second as %s', (n, text) => {
  expect(perSecond(n)).toBe(text)
})

test.each([
  [-3, '0 s'],
  [0, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [3_599, '59 min'],
  [3_600, '1 h'],
  [3_660, '1 h 1 min'],
  [86_400, '1 d'],
  [90_061, '1 d 1 h'],
])('formats %d s as %s', (seconds, text) => {
  expect(duration(seconds).replaceAll(NARROW, ' ')).toBe(text)
})

test('formats recent times as "just now", and counts of one in the singular', () => {
  expect([ago(0.9), ago(1)]).toEqual(['just now', `1${NARROW}s ago`])
  expect([plural(1, 'connect'), plural(0, 'connect'), plural(2_000, 'connect')]).toEqual([
    '1 connect',
    '0 connects',
    '2,000 connects',
  ])
  expect(count(1_234_567)).toBe('1,234,567')
})

/** The state `second` seconds after the start of a process, with ten of every event per second and these backends. */
function stateAt(second: number, ids: string[] = ['a'], { booted = 0 } = {}) {
  const done = (second - booted) * 10
  const counters = { open: second, accepted: done, bytesRead: done * 2, bytesWritten: done * 3 }
  const backends = ids.map((id) => ({ id, connections: 1, total: done, bytesRead: done, bytesWritten: done }))
  return { time: second * 1_000, uptime: second - booted, counters, backends }
}

test('calculates a rate from the difference and the time between two samples, and none for the first sample', () => {
  const history = new History()
  for (const second of [10, 11, 13]) history.push(stateAt(second))
  expect(history.times).toEqual([10, 11, 13])
  expect(history.all).toMatchObject({
    open: [10, 11, 13],
    rate: [null, 10, 10],
    in: [null, 20, 20],
    out: [null, 30, 30],
  })
  expect(history.backends.get('a')).toMatchObject({ open: [1, 1, 1], rate: [null, 10, 10] })
})

test('leaves a gap for missed polls, with a correct rate over it', () => {
  const history = new History()
  for (const second of [10, 11, 31]) history.push(stateAt(second))
  expect(history.times).toEqual([10, 11, 21, 31])
  expect(history.all.rate).toEqual([null, 10, null, 10])
  expect(history.backends.get('a').open).toEqual([1, 1, null, 1])
})

test('leaves a gap for a new process, which counts from 0, without a negative rate', () => {
  const history = new History()
  for (const second of [100, 101]) history.push(stateAt(second))
  for (const second of [103, 104]) history.push(stateAt(second, ['a'], { booted: 102 }))
  expect(history.times).toEqual([100, 101, 102, 103, 104])
  expect(history.all.rate).toEqual([null, 10, null, null, 10])
})

test('starts a new history after the clock is set back', () => {
  const history = new History()
  for (const second of [100, 101]) history.push(stateAt(second))
  history.push({ ...stateAt(102), time: 50_000 })
  expect(history.times).toEqual([50])
  expect(history.backends.get('a').open).toEqual([1])
})

test('keeps every list as long as the times while backends come and go, and drops old samples', () => {
  const history = new History()
  for (let second = 0; second < 2 * SPAN_S; second++) {
    const ids = ['always', ...(second > 50 ? ['late'] : []), ...(second < 100 ? ['early'] : [])]
    history.push(stateAt(second, ids))
    for (const { open, rate, in: read, out } of [history.all, ...history.backends.values()]) {
      for (const list of [open, rate, read, out]) expect(list).toHaveLength(history.times.length)
    }
    expect(history.backends.has('early')).toBe(second < 100 + SPAN_S + 2)
  }
  expect(history.times.at(-1) - history.times[0]).toBe(SPAN_S + 2)
  expect([...history.backends.keys()]).toEqual(['always', 'late'])
})

test('takes no sample from an irregular poll, and calculates the next rate over the whole time', () => {
  const history = new History()
  const steady = (second: number) => ({
    ...stateAt(second),
    counters: { ...stateAt(second).counters, accepted: Math.floor(second * 2) },
  })
  const seen = [10, 10.99, 11.005, 11.02, 12, 12.49, 13].map((second) => {
    history.push(steady(second))
    return history.mean(history.all.rate)
  })
  expect(history.times).toEqual([10, 10.99, 12, 13])
  expect(seen[0]).toBeNull()
  for (const rate of seen.slice(1)) {
    expect(rate).toBeGreaterThan(1)
    expect(rate).toBeLessThan(3)
  }
})

test('shows the average rate of the last three samples, weighted by their time', () => {
  const history = new History()
  expect(history.mean(history.all.rate)).toBeNull()
  const push = (second: number, accepted: number) => {
    const state = stateAt(second)
    history.push({ ...state, counters: { ...state.counters, accepted } })
    return history.mean(history.all.rate)
  }
  // 100 in the first second, none in the three after, 2 in the last half second.
  expect([push(10, 0), push(11, 100), push(14, 100), push(14.5, 102)]).toEqual([null, 100, 25, 102 / 4.5])
  expect(push(15.5, 102)).toBe(2 / 4.5)
  expect(history.max([null, 4, 2])).toBe(4)
})

test('does not count a draining backend as up', () => {
  const states = [['up'], ['up', true], ['down'], ['down', true], ['up', true]]
  const backends = states.map(([state, draining = false]) => ({ state, draining }))
  const ejected = [false, true].map((draining) => ({ state: 'up', draining, ejectedUntil: 1 }))
  expect(countStates([...backends, ...ejected])).toEqual({ up: 1, draining: 2, ejected: 2, down: 2 })
})
