import net from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIPv4, isIPv6, normalize } from '../src/ip.ts'

const group = fc.constantFrom('0', '1', 'abcd', 'FFFF', '12345', 'g', '', '192.0.2.1')
const almostIPv6 = fc.array(group, { maxLength: 10 }).map((groups) => groups.join(':'))
const byte = fc.constantFrom('0', '7', '255', '256', '00', '01', '+1', ' 1', '')
const almostIPv4 = fc.array(byte, { minLength: 3, maxLength: 5 }).map((bytes) => bytes.join('.'))

test('what is an address is the same as for Node, but for a zone', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), almostIPv4, almostIPv6, fc.string()), (text) => {
      expect(isIPv4(text)).toBe(net.isIPv4(text))
      expect(isIPv6(text)).toBe(net.isIPv6(text) && !text.includes('%'))
    }),
    { numRuns: 2000 },
  )
})

test('each form of an IPv4 address is one', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(normalize(`::ffff:${address}`)).toBe(address)
      expect(normalize(`::FFFF:${address}`)).toBe(address)
      expect(normalize(address)).toBe(address)
    }),
  )
})
