import { describe, expect, it } from 'vitest'
import { Balancer, type BalancerOptions, createBalancer } from '../../../src/sticky/index.ts'
import { balancerOf, CLIENT, requestHead } from './support.ts'

const OPTIONS = 'backends, algorithm, key, failover, health, backoff, secret, dns'
const COMMON = 'weight, maxConnections, backup, tls, sendProxy'
const KEY = "'client', 'path', 'header:' with a name, or a function"
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
    ['null', null, 'options: got null; takes an object'],
    ['a list', [], 'options: got []; takes an object'],
    ['a number', 5, 'options: got 5; takes an object'],
    ['unknown', { backend: [] }, `backend: is no option; takes ${OPTIONS}`],
    ['no list', { backends: { port: 1 } }, 'backends: got { port: 1 }; takes a list of backends'],
    [
      'an algorithm',
      { algorithm: 'roundrobin' },
      "algorithm: got 'roundrobin'; takes 'round-robin', 'least-connections', 'random-two' or 'hash'",
    ],
    [
      'null',
      { algorithm: null },
      "algorithm: got null; takes 'round-robin', 'least-connections', 'random-two' or 'hash'",
    ],
    ['a key', { key: 'cookie' }, `key: got 'cookie'; takes ${KEY}`],
    ['a header without a name', { key: 'header:' }, `key: got 'header:'; takes ${KEY}`],
    ['a header that is none', { key: 'header:a b' }, `key: got 'header:a b'; takes ${KEY}`],
    ['a key with an end of line', { key: 'client\n' }, `key: got 'client\\n'; takes ${KEY}`],
    ['a key of the wrong kind', { key: 5 }, `key: got 5; takes ${KEY}`],
    ['a failover', { failover: 'none' }, "failover: got 'none'; takes 'redispatch' or 'persist'"],
    ['health', { health: true }, 'health: got true; takes an object'],
    ['health is null', { health: null }, 'health: got null; takes an object'],
    ['a backoff', { backoff: 100 }, 'backoff: got 100; takes an object'],
    ['an option of backoff', { backoff: { least: 1 } }, 'backoff.least: is no option; takes min, max'],
    ['a back-off of nothing', { backoff: { min: 0 } }, `backoff.min: got 0; takes an integer from 1 to ${DAY} (ms)`],
    [
      'a back-off that is too long',
      { backoff: { max: DAY + 1 } },
      `backoff.max: got ${DAY + 1}; takes an integer from 1 to ${DAY} (ms)`,
    ],
    [
      'a back-off upside down',
      { backoff: { min: 10, max: 9 } },
      'backoff.min: got 10; takes no more than backoff.max, which is 9',
    ],
    [
      'a back-off above the default',
      { backoff: { min: 5001 } },
      'backoff.min: got 5001; takes no more than backoff.max, which is 5000',
    ],
    ['a secret', { secret: '' }, `secret: got ''; takes ${SECRET}`],
    ['a secret that is a number', { secret: 5 }, `secret: got (hidden number); takes ${SECRET}`],
    ['no secrets', { secret: [] }, `secret: got []; takes ${SECRET}`],
    ['secrets with a hole', { secret: new Array(1) }, `secret: got [undefined]; takes ${SECRET}`],
    ['dns', { dns: 'app' }, "dns: got 'app'; takes an object"],
    ['an option of dns', { dns: { ttl: 5 } }, 'dns.ttl: is no option; takes servers, interval, timeout'],
    ['servers', { dns: { servers: '1.1.1.1' } }, `dns.servers: got '1.1.1.1'; takes ${SERVERS}`],
    ['no servers', { dns: { servers: [] } }, `dns.servers: got []; takes ${SERVERS}`],
    ['a server by its name', { dns: { servers: ['ns.test'] } }, `dns.servers: got [ 'ns.test' ]; takes ${SERVERS}`],
    [
      'servers with a hole',
      { dns: { servers: new Array(1) } },
      `dns.servers: got [ <1 empty item> ]; takes ${SERVERS}`,
    ],
    [
      'an interval',
      { dns: { interval: -1 } },
      `dns.interval: got -1; takes an integer from 0 to ${DAY} (ms; 0 for the answers' own)`,
    ],
    ['a time-out', { dns: { timeout: 0 } }, `dns.timeout: got 0; takes an integer from 1 to ${DAY} (ms)`],
  ])('%s: %j', (_, options, message) => {
    refused(() => createBalancer(options as BalancerOptions), message)
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    refused(() => balancer.update(options as BalancerOptions), message)
    expect(balancer.backends).toHaveLength(1)
  })
})

describe('a backend', () => {
  it.each<[options: unknown, message: string]>([
    [null, ': got null; takes an object'],
    [undefined, ': got null; takes an object'],
    ['3001', ": got '3001'; takes an object"],
    [3001, ': got 3001; takes an object'],
    [[], ': got []; takes an object'],
    [{}, ': got {}; takes port, path, dns or srv'],
    [{ host: 'a' }, ": got { host: 'a' }; takes port, path, dns or srv"],
    [{ port: 0 }, '.port: got 0; takes an integer from 1 to 65535'],
    [{ port: '80' }, ".port: got '80'; takes an integer from 1 to 65535"],
    [{ port: 65_536 }, '.port: got 65536; takes an integer from 1 to 65535'],
    [{ port: null }, '.port: got null; takes an integer from 1 to 65535'],
    [{ port: 1, hots: 'a' }, `.hots: is no option; takes port, host, id, ${COMMON}`],
    [{ port: 1, host: '' }, `.host: got ''; takes ${HOST}`],
    [{ port: 1, host: '[::1]' }, `.host: got '[::1]'; takes ${HOST}`],
    [{ port: 1, host: 'a.b:80' }, `.host: got 'a.b:80'; takes ${HOST}`],
    [{ port: 1, host: 'a b' }, `.host: got 'a b'; takes ${HOST}`],
    [{ port: 1, host: 'http://a' }, `.host: got 'http://a'; takes ${HOST}`],
    [{ port: 1, host: 'a\0' }, `.host: got 'a\\x00'; takes ${HOST}`],
    [{ port: 1, host: null }, `.host: got null; takes ${HOST}`],
    [{ path: '' }, ".path: got ''; takes a path"],
    [{ path: 5 }, '.path: got 5; takes a path'],
    [{ path: '/x', port: 1 }, `.port: is no option; takes path, id, ${COMMON}`],
    [{ port: 1, id: '' }, `.id: got ''; takes ${ID}`],
    [{ port: 1, id: 5 }, `.id: got 5; takes ${ID}`],
    [{ port: 1, id: 'a\nb' }, `.id: got 'a\\nb'; takes ${ID}`],
    [{ port: 1, id: 'a\ud800' }, `.id: got 'a\\ud800'; takes ${ID}`],
    [{ port: 1, weight: -1 }, '.weight: got -1; takes an integer from 0 to 65535'],
    [{ port: 1, weight: 65_536 }, '.weight: got 65536; takes an integer from 0 to 65535'],
    [{ port: 1, weight: 0.5 }, '.weight: got 0.5; takes an integer from 0 to 65535'],
    [{ port: 1, maxConnections: 0 }, `.maxConnections: got 0; takes ${MOST}`],
    [{ port: 1, maxConnections: 1.5 }, `.maxConnections: got 1.5; takes ${MOST}`],
    [{ port: 1, maxConnections: Number.NaN }, `.maxConnections: got NaN; takes ${MOST}`],
    [{ port: 1, backup: 'yes' }, ".backup: got 'yes'; takes true or false"],
    [{ port: 1, tls: 'yes' }, `.tls: got 'yes'; takes ${TLS}`],
    [{ port: 1, tls: null }, `.tls: got null; takes ${TLS}`],
    [{ port: 1, tls: [] }, `.tls: got []; takes ${TLS}`],
    [{ dns: 'app' }, '.port: got undefined; takes an integer from 1 to 65535'],
    [{ dns: '10.0.0.1', port: 1 }, `.dns: got '10.0.0.1'; takes ${NAME}`],
    [{ dns: 'a b', port: 1 }, `.dns: got 'a b'; takes ${NAME}`],
    [{ dns: 5, port: 1 }, `.dns: got 5; takes ${NAME}`],
    [{ dns: 'app', port: 1, id: 'a' }, `.id: is no option; takes dns, port, ${COMMON}`],
    [{ srv: '' }, `.srv: got ''; takes ${NAME}`],
    [{ srv: '_http._tcp.app', port: 1 }, `.port: is no option; takes srv, ${COMMON}`],
  ])('%j%s', (options, message) => {
    refused(() => createBalancer({ backends: [{ port: 1 }, options] as never }), `backends[1]${message}`)
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    refused(() => balancer.add(options as never), `backend${message}`)
    expect(balancer.backends).toHaveLength(1)
  })

  it.each<[backends: unknown[], message: string]>([
    [[{ port: 1 }, { port: 1 }], "backends[1].id: got '127.0.0.1:1'; takes an id that no other backend has"],
    [
      [{ port: 1, id: 'a' }, { port: 2 }, { path: '/x', id: 'a' }],
      "backends[2].id: got 'a'; takes an id that no other backend has",
    ],
    [
      [{ path: '/x' }, { port: 2, id: 'unix:/x' }],
      "backends[1].id: got 'unix:/x'; takes an id that no other backend has",
    ],
    [
      [
        { dns: 'app', port: 1 },
        { dns: 'app', port: 2 },
        { dns: 'app', port: 1, weight: 2 },
      ],
      "backends[2]: got 'dns:app:1'; takes a name that is not among the backends yet",
    ],
    [[{ srv: 'app' }, { srv: 'app' }], "backends[1]: got 'srv:app'; takes a name that is not among the backends yet"],
  ])('may not be there twice: %j', (backends, message) => {
    refused(() => createBalancer({ backends } as BalancerOptions), message)
    const balancer = balancerOf()
    for (const one of backends.slice(0, -1)) balancer.add(one as never)
    refused(() => balancer.add(backends.at(-1) as never), message.replace(/^backends\[\d\]/, 'backend'))
  })

  it('is none in a hole of the list', () => {
    refused(() => createBalancer({ backends: new Array(1) }), 'backends[0]: got null; takes an object')
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
    expect(balancer.lookup(requestHead(), CLIENT)).toMatchObject({ port: 1 })
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
    const addresses = ['127.0.0.1:1', 'app.internal:2', '[::1]:3', 'unix:/run/x', '127.0.0.1:4']
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
      id: '127.0.0.1:1',
      address: '127.0.0.1:1',
      source: undefined,
      state: 'up',
      draining: false,
      backup: false,
      weight: 1,
      maxConnections: Number.POSITIVE_INFINITY,
      connections: 0,
      total: 0,
      failures: 0,
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
