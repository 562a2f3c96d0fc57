import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostBackends, serviceBackends, usableRecords } from '../../../src/balancer/discovery/records.ts'

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
const target = (name: string, priority = 0) => ({ name, port: 1, priority, weight: 1 })

test('a host has at most 1000 backends', () => {
  expect(hostBackends(numbered(1000), 1)).toHaveLength(1000)
  expect(hostBackends(numbered(1001), 1)).toHaveLength(1000)
  expect(hostBackends([...numbered(1000), ...numbered(1000)], 1)).toHaveLength(1000)
})

test('which 1000 does not depend on the order of the answer', () => {
  const all = numbered(1500)
  expect(hostBackends(all.toReversed(), 1)).toEqual(hostBackends(all, 1))
  const records = [target('a.test')]
  expect(serviceBackends(records, () => all.toReversed())).toEqual(serviceBackends(records, () => all))
})

test('a service has at most 1000 backends, highest priority first', () => {
  const many = usableRecords([...numbered(1200).map((name) => target(name, 2)), target('first.test', 1)])
  expect(many).toHaveLength(1000)
  expect(many[0]!.name).toBe('first.test')
  const few = [target('a.test', 1), target('b.test', 2)]
  const found = serviceBackends(few, (name) => (name === 'a.test' ? ['127.0.0.1'] : numbered(1200)))
  expect(found).toHaveLength(1000)
  expect(found.filter(({ backup }) => !backup)).toMatchObject([{ id: 'a.test:1' }])
})

test('unusable records are dropped', () => {
  const right = target('a.test')
  expect(usableRecords([target(''), target('.'), { ...right, port: 0 }, right])).toEqual([right])
})

test('the highest priority of a target and port counts', () => {
  const records = usableRecords([target('a.test', 2), target('A.test', 1), target('b.test', 1)])
  expect(serviceBackends(records, () => ['127.0.0.1'])).toMatchObject([
    { id: 'a.test:1', backup: false },
    { id: 'b.test:1', backup: false },
  ])
})

test('the backends do not depend on the order of the answers', () => {
  const record = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    port: fc.constantFrom(1, 2),
    priority: fc.constantFrom(0, 1),
    weight: fc.constantFrom(1, 2),
  })
  const cases = fc
    .array(record, { maxLength: 8 })
    .chain((records) => fc.tuple(fc.constant(records), fc.shuffledSubarray(records, { minLength: records.length })))
  const backends = (records: Parameters<typeof usableRecords>[0]) =>
    serviceBackends(usableRecords(records), () => ['::1'])
  fc.assert(
    fc.property(cases, ([one, other]) => {
      expect(backends(other)).toEqual(backends(one))
    }),
  )
})
