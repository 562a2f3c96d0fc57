import { expect, test } from 'vitest'

// Tests the modules of the page that do not need a browser.
const folder = new URL('../../../src/cli/admin/static/', import.meta.url).href
const { ago, bytes, count, countStates, duration, firstByte, latency, perSecond, plural, wholeRequest } = await import(
  `${folder}format.js`
)
const { extend, forget, latest, recent, SPAN_S } = await import(`${folder}history.js`)
const { itemOf, matcherOf, sorted } = await import(`${folder}columns.js`)
const { beganAt, outliersOf, smoothed } = await import(`${folder}outliers.js`)
const { pathOf, pointsOf } = await import(`${folder}spark.js`)
const { expiryOf, expiryText } = await import(`${folder}setup.js`)
const { commonOf } = await import(`${folder}requests.js`)

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

test.each([
  [0, '0 ms'],
  [0.00012, '0.1 ms'],
  [0.0099, '9.9 ms'],
  [0.00996, '10 ms'],
  [0.0844, '84 ms'],
  [0.9994, '999 ms'],
  [0.9996, '1.00 s'],
  [2.345, '2.35 s'],
  [12.34, '12.3 s'],
  [150, '2 min'],
])('formats a latency of %d s as %s', (seconds, text) => {
  expect(latency(seconds).replaceAll(NARROW, ' ')).toBe(text)
})

test('says so where the buckets of the histograms end', () => {
  expect(
    [firstByte(4.999), firstByte(5), wholeRequest(5), wholeRequest(10)].map((text) => text.replaceAll(NARROW, ' ')),
  ).toEqual(['5.00 s', '≥ 5 s', '5.00 s', '≥ 10 s'])
})

test('counts a backend as what matters most about it', () => {
  const states = [['up'], ['up', true], ['down'], ['down', true], ['up', true]]
  const backends = states.map(([state, draining = false]) => ({ state, draining }))
  const ejected = [false, true].map((draining) => ({ state: 'up', draining, ejectedUntil: 1 }))
  expect(countStates([...backends, ...ejected])).toEqual({ up: 1, draining: 2, ejected: 2, down: 2 })
})

/** An answer of /api/history with samples every 2 s, from one second to another. */
function answerOf(from: number, to: number, value: number, backends: string[] = ['a']) {
  const times = Array.from({ length: (to - from) / 2 }, (_, i) => (from + i * 2) * 1_000)
  const list = () => times.map(() => value)
  const part = () => ({ open: list(), firstByte: { p99: list() } })
  return {
    interval: 2_000,
    times,
    all: part(),
    pools: {},
    backends: Object.fromEntries(backends.map((id) => [id, part()])),
  }
}

test('adds later samples to the known ones, and drops those older than five minutes', () => {
  const first = extend(undefined, answerOf(0, SPAN_S, 1))
  expect(first.times).toHaveLength(150)
  const second = extend(first, answerOf(SPAN_S, SPAN_S + 20, 2))
  expect([second.times[0], second.times.at(-1)]).toEqual([18_000, 318_000])
  expect(second.all.firstByte.p99).toEqual([...Array(141).fill(1), ...Array(10).fill(2)])
  expect(second.backends.a.open).toHaveLength(second.times.length)
  expect(extend(second, answerOf(0, 0, 3))).toBe(second)
})

test('leaves gaps for backends that came or went, and forgets what was not there for five minutes', () => {
  let past = extend(undefined, answerOf(0, 4, 1, ['early', '__proto__']))
  past = extend(past, answerOf(4, 8, 2, ['late']))
  expect(past.backends.early.open).toEqual([1, 1, null, null])
  expect(past.backends.late.firstByte.p99).toEqual([null, null, 2, 2])
  expect(Object.keys(past.backends)).toEqual(['early', '__proto__', 'late'])
  expect(Object.keys(forget(past.backends))).toEqual(['early', '__proto__', 'late'])
  past = extend(past, answerOf(8, 310, 3, ['late']))
  expect(Object.keys(forget(past.backends))).toEqual(['late'])
})

test('takes an answer for the whole past if time was set back or badass was started again', () => {
  const past = extend(undefined, answerOf(100, 200, 1))
  const again = extend(past, answerOf(50, 60, 2))
  expect(again.times[0]).toBe(50_000)
  expect(again.all.open).toEqual([2, 2, 2, 2, 2])
})

test('shows the mean of the last three samples, and the last known latency of them', () => {
  expect([recent([9, 1, 2, 3]), recent([null, 4]), recent([5, null, null, null]), recent([])]).toEqual([
    2,
    4,
    null,
    null,
  ])
  expect([latest([1, 2, null]), latest([1, null, null, null]), latest(undefined)]).toEqual([2, null, null])
})

interface Item {
  backend: { id: string }
  condition: string
}

const item = (id: string, about: object = {}) => ({
  backend: { id, address: `10.0.0.1:${id.length}`, connections: 0, weight: 1, since: 0 },
  pool: 'default',
  condition: 'up',
  rate: null,
  in: null,
  out: null,
  errors: 0,
  p99: 0.05,
  latencies: Array(20).fill(0.05),
  failures: Array(20).fill(0),
  ...about,
})
const ids = (items: Item[]) => items.map(({ backend }) => backend.id)

test('sorts by numbers in names, the worst state first, and unknown values last in both directions', () => {
  const items = [
    item('web-10', { p99: null }),
    item('web-9', { p99: 2, condition: 'draining' }),
    item('web-1', { p99: 0.1, condition: 'down' }),
  ]
  expect(ids(sorted(items, 'id', true))).toEqual(['web-1', 'web-9', 'web-10'])
  expect(ids(sorted(items, 'state', true))).toEqual(['web-1', 'web-9', 'web-10'])
  expect(ids(sorted(items, 'p99', false))).toEqual(['web-9', 'web-1', 'web-10'])
  expect(ids(sorted(items, 'p99', true))).toEqual(['web-1', 'web-9', 'web-10'])
  expect(ids(sorted(items, 'toString', true))).toEqual(ids(items))
})

test('a request without a status is no error where badass does not read the responses', () => {
  const past = {
    backends: { a: { rate: [1, 3], in: [1, 1], out: [1, 1], errors: [1, 3], firstByteP99: [null, null] } },
  }
  const backend = { id: 'a', state: 'up' }
  expect(itemOf(backend, past)).toMatchObject({ rate: 2, errors: 2, failures: [1, 3], p99: null, condition: 'up' })
  expect(itemOf(backend, past, true)).toMatchObject({ rate: 2, errors: null, failures: [] })
  expect(itemOf(backend, undefined)).toMatchObject({ rate: null, errors: null, latencies: [] })
})

test('filters by all words, in any order, and by state', () => {
  const items = [item('web-1'), item('API-1', { pool: 'api', condition: 'down' }), item('api-2', { pool: 'api' })]
  expect(ids(items.filter(matcherOf('-1 api', '')))).toEqual(['API-1'])
  expect(ids(items.filter(matcherOf('', 'up')))).toEqual(['web-1', 'api-2'])
  expect(ids(items.filter(matcherOf('down', '')))).toEqual(['API-1'])
  expect(ids(items.filter(matcherOf('  ', '')))).toEqual(['web-1', 'API-1', 'api-2'])
})

test('finds the backend that is slower than its pool, and since when', () => {
  const slow = [...Array(12).fill(0.05), 2, 2, null, 2, 0.1, 2, 2, 2]
  const items = ['a', 'b', 'c'].map((id) => item(id))
  expect([...outliersOf([...items, item('slow', { p99: 2, latencies: slow })])]).toEqual([
    ['slow', { usual: 0.05, rate: 0, slowSince: 12, failingSince: -1 }],
  ])
  expect(outliersOf([...items, item('quick again', { p99: 0.05, latencies: slow })]).size).toBe(0)
  // A whole pool that is slow has no outlier, nor has a backend among two.
  expect(outliersOf(items.map((one) => ({ ...one, p99: 2, latencies: slow }))).size).toBe(0)
  expect(outliersOf([item('a'), item('slow', { p99: 2, latencies: slow })]).size).toBe(0)
})

test('a few slow samples or errors make no outlier, and as many calm ones end the time', () => {
  const [calm, bad] = [Array(30).fill(0), Array(6).fill(1)]
  expect(beganAt([...calm, 1, 1, 1, 1], 0.1)).toBe(-1)
  expect(beganAt([...calm, ...bad], 0.1)).toBe(30)
  expect(beganAt([...bad, ...calm.slice(0, 5), ...bad], 0.1)).toBe(11)
  expect(beganAt([...bad, ...calm.slice(0, 4), ...bad], 0.1)).toBe(0)
  expect(beganAt([...calm, ...bad, ...calm.slice(0, 12)], 0.1)).toBe(-1)
  const items = ['a', 'b', 'failing'].map((id) => item(id))
  Object.assign(items[2]!, { errors: 0.6, failures: [...calm, ...bad] })
  expect([...outliersOf(items).keys()]).toEqual(['failing'])
  // One error in four seconds, of which some samples have none.
  Object.assign(items[2]!, { failures: [...calm, ...Array(20).fill([0.5, 0]).flat()] })
  expect(outliersOf(items).get('failing')).toMatchObject({ slowSince: -1, failingSince: 32, rate: 3.5 / 15 })
  expect(smoothed([5, null, 0, 1])).toEqual([5, null, 2.5, 2])
  Object.assign(items[2]!, { condition: 'down' })
  expect(outliersOf(items).size).toBe(0)
})

test('draws a point of the small line for every ten seconds, and leaves gaps', () => {
  const times = [100, 102, 110, 130].map((second) => second * 1_000)
  expect(pointsOf(times)).toEqual([26, 26, 27, 29])
  expect(pathOf([0, 1, null, 0.5], pointsOf(times), 1)).toBe('M54 1.0h.1M60 8.0h.1')
  expect(pathOf([null, null, null, null], pointsOf(times), 1)).toBe('')
  expect(pathOf([5, 5, 5, 5], pointsOf(times), 1)).toBe('M54 1.0h.1L56 1.0M60 1.0h.1')
})

const DAY = 86_400_000
test.each([
  [{ notAfter: 15 * DAY }, 'fine', 'in 15 d'],
  [{ notAfter: 13 * DAY }, 'soon', 'in 13 d'],
  [{ notAfter: -2 * DAY }, 'expired', 'expired 2 d ago'],
  [{ notAfter: 3 * DAY, earliest: 'CA' }, 'soon', 'in 3 d (CA)'],
  [{ notAfter: null, error: 'no such file' }, 'expired', 'unknown'],
])('a certificate %o is %s', (certificate, expiry, text) => {
  expect(expiryOf(certificate, 0)).toBe(expiry)
  expect(expiryText(certificate, 0).replaceAll(NARROW, ' ')).toBe(text)
})

test('tells what many requests have in common', () => {
  const entry = (client: string, path: string) => ({ client, path, pool: 'api', backend: 'slow' })
  const entries = [entry('a:1', '/x'), entry('a:2', '/y'), entry('b', '/z'), entry('c', '/x'), entry('a', '/w')]
  expect(commonOf(entries)).toEqual([
    ['backend', 'api/slow', 5],
    ['client', 'a', 3],
    ['path', '/x', 2],
  ])
  expect(commonOf([entry('a', '/x')])).toEqual([])
  const clients = ['[::1]:1', '[::1]:2', '2001:db8::7', '2001:db8::7'].map((client) => ({ client }))
  expect(commonOf(clients)).toEqual([
    ['client', '[::1]', 2],
    ['client', '2001:db8::7', 2],
  ])
})
