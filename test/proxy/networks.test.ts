import { describe, expect, test } from 'vitest'
import { isNetwork, Networks } from '../../src/proxy/index.ts'

test('isNetwork accepts an address, a range or unix', () => {
  for (const text of [
    'unix',
    '10.0.0.1',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '::1',
    'fd00::/8',
    '::/128',
    '::ffff:10.0.0.0/104',
  ]) {
    expect(isNetwork(text), text).toBe(true)
  }
  for (const text of [
    '',
    'Unix',
    'unix/8',
    'localhost',
    '10/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '::/129',
    '::1%lo',
    '10.0.0.0/-1',
    '::ffff:10.0.0.0/95',
    7,
  ]) {
    expect(isNetwork(text), String(text)).toBe(false)
  }
})

describe('Networks', () => {
  const networks = new Networks('trust', ['10.0.0.0/8', '::ffff:192.0.2.0/120', 'fd00::/8'])

  test.each([
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['11.0.0.1', false],
    ['192.0.2.7', true],
    ['192.0.3.7', false],
    ['fd00::1%eth0', true],
    ['fe80::1', false],
  ])('has %s: %s', (remoteAddress, isThere) => {
    expect(networks.has({ remoteAddress, transport: 'tcp' })).toBe(isThere)
  })

  test('has clients of Unix sockets if it lists unix, and no others without an address', () => {
    const withUnix = new Networks('trust', ['unix'])
    expect(withUnix.has({ remoteAddress: undefined, transport: 'unix' })).toBe(true)
    expect(withUnix.has({ remoteAddress: undefined, transport: 'tcp' })).toBe(false)
    expect(withUnix.has({ remoteAddress: undefined, transport: 'other' })).toBe(false)
    expect(networks.has({ remoteAddress: undefined, transport: 'unix' })).toBe(false)
  })

  test('throws a TypeError with the option on an invalid entry', () => {
    const expected = "an address, a network as in '10.0.0.0/8', or 'unix'"
    const message = `proxyProtocol: expected ${expected}, got "10.0.0.0/33"`
    expect(() => new Networks('proxyProtocol', ['10.0.0.0/33'])).toThrow(message)
  })
})
