import { expect, test } from 'vitest'
import { ClientConnections } from '../../../src/cli/service/client-connections.ts'
import { ClientKeys } from '../../../src/cli/service/client-keys.ts'
import type { ClientInfo } from '../../../src/index.ts'
import { parseHead } from '../../../src/parser/index.ts'
import { configOf } from './support.ts'

function client(remoteAddress: string | undefined): ClientInfo {
  const transport = remoteAddress === undefined ? 'unix' : 'tcp'
  return { transport, remoteAddress, remotePort: 1, localPort: 2, encrypted: false }
}

function head(...fields: string[]) {
  return parseHead(Buffer.from(['GET / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n')), 'request')
}

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:207', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8::/64'],
  ['2001:db8:0:0:1::', '2001:db8::/64'],
  ['2001:db8:0:5::1', '2001:db8:0:5::/64'],
  ['::1', '0::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ['::2:0:0:0:1', '0:0:0:2::/64'],
  [undefined, undefined],
])('the connection of %s counts for %s', (address, key) => {
  expect(new ClientKeys(configOf({})).ofConnection(client(address))).toBe(key)
})

test('proxies are seen through, and nobody else', () => {
  const config = configOf({ trust: ['10.0.0.0/8', 'unix', '2001:db8:1::/48'], proxyProtocol: ['172.16.0.1'] })
  const keys = new ClientKeys(config)
  for (const proxy of ['10.1.2.3', '::ffff:10.1.2.3', '172.16.0.1', '2001:db8:1:2::3', undefined]) {
    expect(keys.ofConnection(client(proxy))).toBe(undefined)
  }
  const spoofed = head('X-Forwarded-For: 1.1.1.1, 10.0.0.1')
  expect(keys.ofRequest(spoofed, client('192.0.2.7'))).toBe('192.0.2.7')
  expect(keys.ofRequest(spoofed, client('10.0.0.2'))).toBe('1.1.1.1')
  expect(keys.ofRequest(spoofed, client(undefined))).toBe('1.1.1.1')
  // What the client itself has written is on the left.
  const chain = head('X-Forwarded-For: 1.1.1.1, [2001:db8:9:9:1:2:3:4]:5000, 10.0.0.1')
  expect(keys.ofRequest(chain, client('10.0.0.2'))).toBe('2001:db8:9:9::/64')
  for (const unnamed of [head(), head('X-Forwarded-For: unknown'), head('X-Forwarded-For: 10.0.0.9')]) {
    expect(keys.ofRequest(unnamed, client('10.0.0.2'))).toBe(undefined)
  }
  const rfc7239 = new ClientKeys({ ...config, forwarded: 'rfc7239' })
  expect(rfc7239.ofRequest(head('Forwarded: for="[2001:db8:7::1]"'), client('10.0.0.2'))).toBe('2001:db8:7::/64')
})

test('only what is open is counted, and nothing else is kept', () => {
  const connections = new ClientConnections()
  connections.limit = 2
  expect(['a', 'a', 'a', 'b'].map((one) => connections.take(one))).toEqual([true, true, false, true])
  connections.release('a')
  expect([connections.take('a'), connections.take('a')]).toEqual([true, false])
  connections.limit = 1
  connections.release('a')
  expect(connections.take('a')).toBe(false)
  connections.release('a')
  connections.release('b')
  expect([connections.take('a'), connections.size]).toEqual([true, 1])
})
