import { describe, expect, test } from 'vitest'
import { isNetwork, Networks } from '../../src/proxy/index.ts'

test('who is trusted is an address, a range or unix', () => {
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

describe('networks', () => {
  const networks = new Networks('trust', ['10.0.0.0/8', '::ffff:192.0.2.0/120', 'fd00::/8'])

  test.each([
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['11.0.0.1', false],
    ['192.0.2.7', true],
    ['192.0.3.7', false],
    ['fd00::1%eth0', true],
    ['fe80::1', false],
  ])('of %s: %s', (remoteAddress, isThere) => {
    expect(networks.has({ remoteAddress, localPort: 80 })).toBe(isThere)
  })

  test('have the client of a Unix socket where they say so, and none of TCP that has left meanwhile', () => {
    const withUnix = new Networks('trust', ['unix'])
    expect(withUnix.has({ remoteAddress: undefined, localPort: undefined })).toBe(true)
    expect(withUnix.has({ remoteAddress: undefined, localPort: 80 })).toBe(false)
    expect(networks.has({ remoteAddress: undefined, localPort: undefined })).toBe(false)
  })

  test('refuse what is none, by the name of the list', () => {
    const takes = "takes an address, a network as in '10.0.0.0/8', or 'unix'"
    expect(() => new Networks('proxyProtocol', ['10.0.0.0/33'])).toThrow(`proxyProtocol: got "10.0.0.0/33"; ${takes}`)
  })
})
