import { expect, test } from 'vitest'

// The modules of the page that know nothing of a page run here as they run there.
const folder = new URL('../../../src/cli/admin/static/', import.meta.url).href
const { ago, bytes, count, duration, perSecond, plural } = await import(`${folder}format.js`)
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
])('%d bytes are %s', (n, text) => {
  expect(bytes(n)).toBe(text.replace(' ', NARROW))
})

test.each([
  [0, '0'],
  [0.04, '<0.1'],
  [0.1, '0.1'],
  [9.94, '9.9'],
  [9.96, '10'],
  [1_234.5, '1,235'],
])('%d a second are %s', (n, text) => {
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
])('%d s last %s', (seconds, text) => {
  expect(duration(seconds).replaceAll(NARROW, ' ')).toBe(text)
})

test('what was just now, and counts of one', () => {
  expect([ago(0.9), ago(1)]).toEqual(['just now', `1${NARROW}s ago`])
  expect([plural(1, 'connect'), plural(0, 'connect'), plural(2_000, 'connect')]).toEqual([
    '1 connect',
    '0 connects',
    '2,000 connects',
  ])
  expect(count(1_234_567)).toBe('1,234,567')
})

/** The state at a second since the start of a process that does ten of everything a second, with these backends. */
function stateAt(second: number, ids: string[] = ['a'], { booted = 0 } = {}) {
  const done = (second - booted) * 10
  const counters = { open: second, accepted: done, bytesRead: done * 2, bytesWritten: done * 3 }
  const backends = ids.map((id) => ({ id, connections: 1, total: done, bytesRead: done, bytesWritten: done }))
  return { time: second * 1_000, uptime: second - booted, counters, backends }
}

test('rates are what was added, by the time between; the first sample has none', () => {
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

test('polls that were missed leave a gap, and the rate over it is right', () => {
  const history = new History()
  for (const second of [10, 11, 31]) history.push(stateAt(second))
  expect(history.times).toEqual([10, 11, 21, 31])
  expect(history.all.rate).toEqual([null, 10, null, 10])
  expect(history.backends.get('a').open).toEqual([1, 1, null, 1])
})

test('a new process counts from 0: a gap, and no rate below it', () => {
  const history = new History()
  for (const second of [100, 101]) history.push(stateAt(second))
  for (const second of [103, 104]) history.push(stateAt(second, ['a'], { booted: 102 }))
  expect(history.times).toEqual([100, 101, 102, 103, 104])
  expect(history.all.rate).toEqual([null, 10, null, null, 10])
})

test('a clock that is set back begins a new history', () => {
  const history = new History()
  for (const second of [100, 101]) history.push(stateAt(second))
  history.push({ ...stateAt(102), time: 50_000 })
  expect(history.times).toEqual([50])
  expect(history.backends.get('a').open).toEqual([1])
})

test('every list is as long as the times, whoever comes and goes, and what is old is forgotten', () => {
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

test('a figure to read is the mean of the last three that there are', () => {
  const history = new History()
  expect(history.mean([])).toBeNull()
  expect(history.mean([null, null])).toBeNull()
  expect(history.mean([100, 1, null, 3])).toBe(2)
  expect(history.max([null, 4, 2])).toBe(4)
})
