import { describe, expect, it } from 'vitest'
import { Balancer, type BalancerOptions, createBalancer } from '../../src/balancer/index.ts'
import { balancerOf, CLIENT, lookUp, requestHead } from './support.ts'

const OPTIONS = 'backends, algorithm, key, failover, queue, slowStart, retries, eject, health, backoff, secret, dns'
const EJECT = "a status from 500 to 599, a list of them, or ranges, as in '502-504' or '500,502-504'"
const COMMON = 'weight, maxConnections, backup, tls, sendProxy, hostHeader, protocol'
const KEY = "'client', 'path', 'header:', 'cookie:' or 'query:' with a name, or a function"
const SECRET = 'a string or bytes, not empty, or a list of them'
const DAY = 86_400_000
const SERVERS = "a list of addresses, each with an optional port, as in '10.0.0.53' or '[::1]:5353'"
const HOST = "a host name or an address, as in 'app.internal' or '::1'"
const ID = 'a string without control characters, not empty'
const NAME = "a name of the DNS, as in 'app.internal'"
const MOST = 'an integer from 1, or Infinity'
const TLS = 'true, false, or the options of tls.connect'
const hook = () => ''

function refused(make: () => unknown, message: string): void {
  let error: unknown
  try {
    make()
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(TypeError)
  expect((error as TypeError).message).toBe(message)
}

describe('the options', () => {
  it.each<[what: string, options: unknown, message: string]>([
    ['null', null, 'options: expected an object, got null'],
    ['a list', [], 'options: expected an object, got []'],
    ['a number', 5, 'options: expected an object, got 5'],
    ['unknown', { backend: [] }, 'backend: unknown option (did you mean backends?)'],
    ['unknown, and like no other', { nothing: [] }, `nothing: unknown option (expected one of ${OPTIONS})`],
    ['no list', { backends: { port: 1 } }, 'backends: expected a list of backends, got { port: 1 }'],
    [
      'an algorithm',
      { algorithm: 'roundrobin' },
      "algorithm: expected 'round-robin', 'least-connections', 'random-two' or 'hash', got 'roundrobin'",
    ],
    [
      'null',
      { algorithm: null },
      "algorithm: expected 'round-robin', 'least-connections', 'random-two' or 'hash', got null",
    ],
    ['a key', { key: 'cookie' }, `key: expected ${KEY}, got 'cookie'`],
    ['a header without a name', { key: 'header:' }, `key: expected ${KEY}, got 'header:'`],
    ['a cookie that is none', { key: 'cookie:a b' }, `key: expected ${KEY}, got 'cookie:a b'`],
    ['a query parameter without a name', { key: 'query:' }, `key: expected ${KEY}, got 'query:'`],
    ['a header that is none', { key: 'header:a b' }, `key: expected ${KEY}, got 'header:a b'`],
    ['a key with an end of line', { key: 'client\n' }, `key: expected ${KEY}, got 'client\\n'`],
    ['a key of the wrong kind', { key: 5 }, `key: expected ${KEY}, got 5`],
    ['a failover', { failover: 'none' }, "failover: expected 'redispatch' or 'persist', got 'none'"],
    ['health', { health: true }, 'health: expected an object, got true'],
    ['health is null', { health: null }, 'health: expected an object, got null'],
    ['a backoff', { backoff: 100 }, 'backoff: expected an object, got 100'],
    ['an option of backoff', { backoff: { least: 1 } }, 'backoff.least: unknown option (expected one of min, max)'],
    [
      'a back-off of nothing',
      { backoff: { min: 0 } },
      `backoff.min: expected milliseconds (an integer from 1 to ${DAY}), got 0`,
    ],
    [
      'a back-off that is too long',
      { backoff: { max: DAY + 1 } },
      `backoff.max: expected milliseconds (an integer from 1 to ${DAY}), got ${DAY + 1}`,
    ],
    [
      'a back-off upside down',
      { backoff: { min: 10, max: 9 } },
      'backoff.min: expected no more than backoff.max, which is 9, got 10',
    ],
    [
      'a back-off above the default',
      { backoff: { min: 5001 } },
      'backoff.min: expected no more than backoff.max, which is 5000, got 5001',
    ],
    ['a secret', { secret: '' }, `secret: expected ${SECRET}, got ''`],
    ['a secret that is a number', { secret: 5 }, `secret: expected ${SECRET}, got (hidden number)`],
    ['no secrets', { secret: [] }, `secret: expected ${SECRET}, got []`],
    ['secrets with a hole', { secret: new Array(1) }, `secret: expected ${SECRET}, got [undefined]`],
    ['dns', { dns: 'app' }, "dns: expected an object, got 'app'"],
    [
      'an option of dns',
      { dns: { ttl: 5 } },
      'dns.ttl: unknown option (expected one of servers, interval, hold, timeout)',
    ],
    ['servers', { dns: { servers: '1.1.1.1' } }, `dns.servers: expected ${SERVERS}, got '1.1.1.1'`],
    ['no servers', { dns: { servers: [] } }, `dns.servers: expected ${SERVERS}, got []`],
    ['a server by its name', { dns: { servers: ['ns.test'] } }, `dns.servers: expected ${SERVERS}, got [ 'ns.test' ]`],
    [
      'servers with a hole',
      { dns: { servers: new Array(1) } },
      `dns.servers: expected ${SERVERS}, got [ <1 empty item> ]`,
    ],
    [
      'an interval',
      { dns: { interval: -1 } },
      `dns.interval: expected milliseconds (an integer from 0 to ${DAY}; 0 for the answers' own), got -1`,
    ],
    ['a time-out', { dns: { timeout: 0 } }, `dns.timeout: expected milliseconds (an integer from 1 to ${DAY}), got 0`],
    [
      'a time in the queue',
      { queue: 0 },
      `queue: expected milliseconds (an integer from 1 to ${DAY}), or an object, got 0`,
    ],
    [
      'a queue without a time',
      { queue: { size: 5 } },
      `queue.timeout: expected milliseconds (an integer from 1 to ${DAY}), got undefined`,
    ],
    ['a slow start', { slowStart: -1 }, `slowStart: expected milliseconds (an integer from 0 to ${DAY}), got -1`],
    ['retries', { retries: 11 }, 'retries: expected an integer from 0 to 10, got 11'],
    ['a number of failures', { eject: 0 }, 'eject: expected an integer from 1 to 1000000, or an object, got 0'],
    [
      'a status that clients can cause',
      { eject: { failures: 1, status: '404' } },
      `eject.status: expected ${EJECT}, got '404'`,
    ],
    [
      'some of them',
      { eject: { failures: 1, status: [502, 499] } },
      `eject.status: expected ${EJECT}, got [ 502, 499 ]`,
    ],
    [
      'times of ejections',
      { eject: { failures: 1, min: 6, max: 5 } },
      'eject.min: expected no more than eject.max, which is 5, got 6',
    ],
    [
      'a size of the queue',
      { queue: { timeout: 5, size: 0 } },
      'queue.size: expected an integer from 1 to 1000000, got 0',
    ],
  ])('%s: %j', (_, options, message) => {
    refused(() => createBalancer(options as BalancerOptions), message)
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    refused(() => balancer.update(options as BalancerOptions), message)
    expect(balancer.backends).toHaveLength(1)
  })
})

describe('a backend', () => {
  it.each<[options: unknown, message: string]>([
    [null, ': expected an object, got null'],
    [undefined, ': expected an object, got null'],
    ['3001', ": expected an object, got '3001'"],
    [3001, ': expected an object, got 3001'],
    [[], ': expected an object, got []'],
    [{}, ': expected port, path, dns or srv, got {}'],
    [{ host: 'a' }, ": expected port, path, dns or srv, got { host: 'a' }"],
    [{ port: 0 }, '.port: expected an integer from 1 to 65535, got 0'],
    [{ port: '80' }, ".port: expected an integer from 1 to 65535, got '80'"],
    [{ port: 65_536 }, '.port: expected an integer from 1 to 65535, got 65536'],
    [{ port: null }, '.port: expected an integer from 1 to 65535, got null'],
    [{ port: 1, hots: 'a' }, '.hots: unknown option (did you mean host?)'],
    [{ port: 1, host: '' }, `.host: expected ${HOST}, got ''`],
    [{ port: 1, host: '[::1]' }, `.host: expected ${HOST}, got '[::1]'`],
    [{ port: 1, host: 'a.b:80' }, `.host: expected ${HOST}, got 'a.b:80'`],
    [{ port: 1, host: 'a b' }, `.host: expected ${HOST}, got 'a b'`],
    [{ port: 1, host: 'http://a' }, `.host: expected ${HOST}, got 'http://a'`],
    [{ port: 1, host: 'a\0' }, `.host: expected ${HOST}, got 'a\\x00'`],
    [{ port: 1, host: null }, `.host: expected ${HOST}, got null`],
    [{ path: '' }, ".path: expected a path, got ''"],
    [{ path: 5 }, '.path: expected a path, got 5'],
    [{ path: '/x', port: 1 }, `.port: unknown option (expected one of path, id, ${COMMON})`],
    [{ port: 1, id: '' }, `.id: expected ${ID}, got ''`],
    [{ port: 1, id: 5 }, `.id: expected ${ID}, got 5`],
    [{ port: 1, id: 'a\nb' }, `.id: expected ${ID}, got 'a\\nb'`],
    [{ port: 1, id: 'a\ud800' }, `.id: expected ${ID}, got 'a\\ud800'`],
    [{ port: 1, weight: -1 }, '.weight: expected an integer from 0 to 65535, got -1'],
    [{ port: 1, weight: 65_536 }, '.weight: expected an integer from 0 to 65535, got 65536'],
    [{ port: 1, weight: 0.5 }, '.weight: expected an integer from 0 to 65535, got 0.5'],
    [{ port: 1, maxConnections: 0 }, `.maxConnections: expected ${MOST}, got 0`],
    [{ port: 1, maxConnections: 1.5 }, `.maxConnections: expected ${MOST}, got 1.5`],
    [{ port: 1, maxConnections: Number.NaN }, `.maxConnections: expected ${MOST}, got NaN`],
    [{ port: 1, backup: 'yes' }, ".backup: expected true or false, got 'yes'"],
    [{ port: 1, tls: 'yes' }, `.tls: expected ${TLS}, got 'yes'`],
    [{ port: 1, tls: null }, `.tls: expected ${TLS}, got null`],
    [{ port: 1, tls: [] }, `.tls: expected ${TLS}, got []`],
    [{ dns: 'app' }, '.port: expected an integer from 1 to 65535, got undefined'],
    [{ dns: '10.0.0.1', port: 1 }, `.dns: expected ${NAME}, got '10.0.0.1'`],
    [{ dns: 'a b', port: 1 }, `.dns: expected ${NAME}, got 'a b'`],
    [{ dns: 5, port: 1 }, `.dns: expected ${NAME}, got 5`],
    [{ dns: 'app', port: 1, id: 'a' }, `.id: unknown option (expected one of dns, port, ${COMMON})`],
    [{ srv: '' }, `.srv: expected ${NAME}, got ''`],
    [{ srv: '_http._tcp.app', port: 1 }, `.port: unknown option (expected one of srv, ${COMMON})`],
  ])('%j%s', (options, message) => {
    refused(() => createBalancer({ backends: [{ port: 1 }, options] as never }), `backends[1]${message}`)
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    refused(() => balancer.add(options as never), `backend${message}`)
    expect(balancer.backends).toHaveLength(1)
  })

  it.each<[backends: unknown[], message: string]>([
    [[{ port: 1 }, { port: 1 }], "backends[1].id: expected an id that no other backend has, got 'localhost:1'"],
    [
      [{ port: 1, id: 'a' }, { port: 2 }, { path: '/x', id: 'a' }],
      "backends[2].id: expected an id that no other backend has, got 'a'",
    ],
    [
      [{ path: '/x' }, { port: 2, id: 'unix:/x' }],
      "backends[1].id: expected an id that no other backend has, got 'unix:/x'",
    ],
    [
      [
        { dns: 'app', port: 1 },
        { dns: 'app', port: 2 },
        { dns: 'app', port: 1, weight: 2 },
      ],
      "backends[2]: expected a name that is not among the backends yet, got 'dns:app:1'",
    ],
    [
      [{ srv: 'app' }, { srv: 'app' }],
      "backends[1]: expected a name that is not among the backends yet, got 'srv:app'",
    ],
  ])('is not accepted twice: %j', (backends, message) => {
    refused(() => createBalancer({ backends } as BalancerOptions), message)
    const balancer = balancerOf()
    for (const one of backends.slice(0, -1)) balancer.add(one as never)
    refused(() => balancer.add(backends.at(-1) as never), message.replace(/^backends\[\d\]/, 'backend'))
  })

  it('is none in a hole of the list', () => {
    refused(() => createBalancer({ backends: new Array(1) }), 'backends[0]: expected an object, got null')
  })
})

describe('what is taken', () => {
  it.each<[what: string, options: BalancerOptions | undefined]>([
    ['nothing', undefined],
    ['empty options', {}],
    [
      'undefined, which is the default',
      {
        backends: undefined,
        algorithm: undefined,
        key: undefined,
        failover: undefined,
        health: undefined,
        backoff: undefined,
        secret: undefined,
        dns: undefined,
      },
    ],
    [
      'every option',
      {
        backends: [
          { port: 1, host: 'app.internal', id: 'ä b', weight: 65_535, maxConnections: 1, backup: true, tls: true },
          { port: 65_535, host: 'fe80::1%eth0', weight: 0, tls: { rejectUnauthorized: false } },
          { path: 'relative.sock', maxConnections: Number.POSITIVE_INFINITY, tls: false },
        ],
        algorithm: 'hash',
        key: hook,
        failover: 'persist',
        health: { path: '/healthz' },
        backoff: { min: 1, max: 1 },
        secret: ['a', new Uint8Array(1)],
        dns: { servers: ['127.0.0.1:5353', '::1', '[::1]:53'], interval: 0, timeout: 1 },
      },
    ],
  ])('%s', (_, options) => {
    const balancer = createBalancer(options)
    expect(balancer).toBeInstanceOf(Balancer)
    balancer.close()
  })

  it('frozen options, which are not written to', () => {
    const backends = Object.freeze([Object.freeze({ port: 1, tls: Object.freeze({ servername: 'x' }) })])
    const balancer = balancerOf(Object.freeze({ backends, dns: Object.freeze({}) }))
    balancer.update(Object.freeze({ backends }))
    expect(lookUp(balancer, requestHead(), CLIENT)).toMatchObject({ port: 1 })
  })

  it('each address as text that names it', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1 },
        { port: 2, host: 'app.internal' },
        { port: 3, host: '::1' },
        { path: '/run/x' },
        { port: 4, id: 'a' },
      ],
    })
    const addresses = ['localhost:1', 'app.internal:2', '[::1]:3', 'unix:/run/x', 'localhost:4']
    expect(balancer.backends.map(({ address }) => address)).toEqual(addresses)
    expect(balancer.backends.map(({ id }) => id)).toEqual([...addresses.slice(0, -1), 'a'])
  })
})

describe('the status of a new backend', () => {
  it('has all there is to know, and is a copy', () => {
    const before = Date.now()
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    const { since, ...rest } = balancer.backends[0]!
    expect(rest).toEqual({
      id: 'localhost:1',
      address: 'localhost:1',
      source: undefined,
      state: 'up',
      draining: false,
      drainingSince: undefined,
      drainedBy: [],
      backup: false,
      weight: 1,
      configuredWeight: 1,
      effectiveWeight: 1,
      maxConnections: Number.POSITIVE_INFINITY,
      connections: 0,
      total: 0,
      failures: 0,
      ejectedUntil: undefined,
      ejections: 0,
      bytesRead: 0,
      bytesWritten: 0,
      retryAt: undefined,
      lastError: undefined,
    })
    expect(since).toBeGreaterThanOrEqual(before)
    expect(since).toBeLessThanOrEqual(Date.now())
    balancer.backends[0]!.weight = 9
    expect(balancer.backends[0]!.weight).toBe(1)
  })
})
