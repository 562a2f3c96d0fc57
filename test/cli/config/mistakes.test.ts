import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BalancerOptions, createBalancer } from '../../../src/balancer/index.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { SETTINGS } from '../../../src/cli/config/settings.ts'
import { json, load, refusal, TARGETS } from './support.ts'

/** A file, and the line for each mistake in it. */
const MISTAKES: [text: string, lines: string[]][] = [
  ['null', ['expected an object of settings, got null']],
  ['[]', ['expected an object of settings, got a list']],
  ['3001', ['expected an object of settings, got 3001']],
  [
    '{"lsiten": 1, "bogus": 2}',
    ['lsiten: unknown option (did you mean listen?)', 'bogus: unknown option (see badass --help)'],
  ],
  [
    '{"__proto__": {"grace": 1}, "constructor": 1, "toString": 2, "": 3, "a b": 4}',
    [
      '__proto__: unknown option (see badass --help)',
      'constructor: unknown option (see badass --help)',
      'toString: unknown option (see badass --help)',
      "['']: unknown option (see badass --help)",
      "['a b']: unknown option (see badass --help)",
    ],
  ],
  ['{"listen": [1, { "port": 2, "tls": true }], "backends": 3}', ['listen[1].tls: has no effect without tls']],
  ['{"tlsClientCa": "ca.pem", "backends": 3}', ['tlsClientCa: has no effect without tls']],
  ['{"tlsClientVerify": "optional", "backends": 3}', ['tlsClientVerify: has no effect without tlsClientCa']],
  ['{"alpn": [], "tls": { "cert": "a", "key": "b" }, "backends": 3}', ['alpn: expected h2 or http/1.1, got a list']],
  ['{"alpn": "http/1.1", "backends": 3}', ['alpn: has no effect without tls']],
  [
    '{"backends": "3,protocol=h2", "routes": { "path": "/a", "backends": { "port": 4, "protocol": "both" } }}',
    ['backends.protocol: has no effect without alpn h2', 'routes.backends.protocol: has no effect without alpn h2'],
  ],
  [
    `{"alpn": "h2", "tls": { "cert": "a", "key": "b" }, "forwarded": true, "health": "/h", "backends": 1,
      "pools": {
        "a": { "backends": [{ "port": 2, "protocol": "h2" }], "sticky": true, "retries": 1 },
        "b": { "backends": [{ "port": 3, "protocol": "h2" }], "health": "tcp" },
        "c": { "backends": [{ "port": 4, "protocol": "h2" }], "health": "/h,port=9" },
        "d": { "backends": [{ "port": 5, "protocol": "h2" }], "health": { "interval": "9s" } },
        "e": { "backends": [{ "port": 6, "protocol": "h2" }], "health": { "type": "http" } }
      },
      "routes": [{ "host": "a", "pool": "a" }, { "host": "b", "pool": "b" }, { "host": "c", "pool": "c" },
        { "host": "d", "pool": "d" }, { "host": "e", "pool": "e" }]}`,
    [
      'alpn: expected no h2 with forwarded, as requests in HTTP/2 pass unread',
      'alpn: expected no h2 with sticky, as requests in HTTP/2 pass unread',
      'alpn: expected no h2 with retries, as requests in HTTP/2 pass unread',
      'pools.a.backends[0].protocol: expected a health check by tcp or on a port of its own, as others are HTTP/1.1',
      'pools.e.backends[0].protocol: expected a health check by tcp or on a port of its own, as others are HTTP/1.1',
    ],
  ],
  ['{"tlsMinVersion": "1.3", "backends": 3}', ['tlsMinVersion: has no effect without tls']],
  [
    '{"listen": { "port": 1, "tls": false }, "tls": { "cert": "a", "key": "b" }, "backends": 3}',
    ['tls.cert: has no effect without a listener with TLS'],
  ],
  [
    '{"backends": [{ "port": 1, "hostHeader": "a b" }]}',
    [
      "backends[0].hostHeader: expected a host, with a port if the backend expects one, as in 'example.com' or '[::1]:3000', got 'a b'",
    ],
  ],
  ['{"everyRequest": true}', ['everyRequest: unknown option (did you mean "requests": "every"?)']],
  ['{"rate": {"burst": 5}, "backends": 1}', ['rate.limit: expected a rate such as 100/s, 600/m or 1000/h, got none']],
  ['{"rate": [], "backends": 1}', ['rate: expected a rate such as 100/s, 600/m or 1000/h, or an object, got a list']],
  [
    '{"health": {"path": "/", "headers": {"Host": "secret"}, "fastInterval": 0}, "backends": 1}',
    [
      'health.headers: expected an object of field names and values, without Host and fields of the connection or its framing, got (hidden object)',
    ],
  ],
  ['{"backends": null}', [`backends: expected ${TARGETS}, or an object, got null`]],
  [
    '{"backends": ["x", null, [], 1.5, 1e400, -1, true]}',
    [
      `backends[0]: expected ${TARGETS}, got 'x'`,
      `backends[1]: expected ${TARGETS}, or an object, got null`,
      `backends[2]: expected ${TARGETS}, or an object, got a list`,
      `backends[3]: expected ${TARGETS}, got '1.5'`,
      `backends[4]: expected ${TARGETS}, got 'Infinity'`,
      `backends[5]: expected ${TARGETS}, got '-1'`,
      `backends[6]: expected ${TARGETS}, or an object, got true`,
    ],
  ],
  [
    '{"backends": [3001, {"port": 3002, "weight": 1e400, "wieght": 1, "backup": "yes"}, "3003,weight=x"]}',
    [
      'backends[1].weight: expected an integer from 0 to 65535, got Infinity',
      "backends[1].backup: expected true or false, got 'yes'",
      'backends[1].wieght: unknown option (did you mean weight?)',
      "backends[2].weight: expected an integer from 0 to 65535, got 'x'",
    ],
  ],
  ['{"backends": {"port": 1, "weight": -1}}', ['backends.weight: expected an integer from 0 to 65535, got -1']],
  [
    '{"backends": [{}, {"host": "a"}, {"port": 1, "path": "/x"}, {"srv": "a", "port": 1}, {"dns": "a"}]}',
    [
      'backends[0]: expected a port, path, dns or srv, got none',
      'backends[1]: expected a port, path, dns or srv, got none',
      'backends[2].port: has no effect with path',
      'backends[3].port: has no effect with srv',
      'backends[4].port: expected an integer from 1 to 65535, got none',
    ],
  ],
  [
    '{"backends": [{"__proto__": {"port": 1}}]}',
    [
      'backends[0].__proto__: unknown option (expected port, host, path, dns, srv, id, weight, maxConnections, backup, tls, sendProxy, hostHeader or protocol)',
      'backends[0]: expected a port, path, dns or srv, got none',
    ],
  ],
  [
    '{"backends": [1, {"port": 2, "id": "localhost:1"}, {"port": 3, "id": "a\\nb"}, {"port": 4, "tls": {"cn": 1}}]}',
    [
      "backends[1].id: 'localhost:1' appears twice",
      "backends[2].id: expected a text of 1 to 200 characters, got 'a\\nb'",
      'backends[3].tls.cn: unknown option (expected servername, rejectUnauthorized, ca, cert or key)',
    ],
  ],
  ['{"backends": [1, {"port": 2, "id": "localhost:1"}]}', ["backends[1].id: 'localhost:1' appears twice"]],
  ['{"backends": ["srv:a", "srv:a,backup"]}', ["backends[1]: 'srv:a' appears twice"]],
  [
    '{"listen": [{"port": 1}, {"port": 99999}, {"dns": "a"}]}',
    [
      'listen[1].port: expected an integer from 0 to 65535, got 99999',
      'listen[2].dns: unknown option (expected port, host, path, fd, mode, group or tls)',
      'listen[2]: expected a port, a path or an fd, got none',
    ],
  ],
  ['{"sticky": 5}', ["sticky: expected a cookie's name, true, false or an object, got 5"]],
  ['{"sticky": {"name": "a b"}}', ["sticky.name: expected a token (RFC 6265 4.1.1), got 'a b'"]],
  ['{"sticky": {"beside": "a b"}}', ["sticky.beside: expected the name of an application's cookie, got 'a b'"]],
  ['{"sticky": {"beside": "a", "insert": true}}', ['sticky.beside: has no effect with insert']],
  ['{"sticky": {"insert": 1}}', ['sticky.insert: expected true or false, got 1']],
  [
    '{"sticky": "__Host-a"}',
    ["sticky.attributes: expected Secure, Path=/ and no Domain with the name '__Host-a', got 'Path=/; HttpOnly'"],
  ],
  ['{"health": {"type": "udp"}}', ["health.type: expected 'tcp' or 'http', got 'udp'"]],
  ['{"health": {"status": 200}}', ["health.status: expected nothing without a path, or the type 'http', got 200"]],
  ['{"backoff": {"min": 10, "max": 5}}', ['backoff.min: expected no more than backoff.max, which is 5, got 10']],
  ['{"backoff": {"max": 50}}', ['backoff.min: expected no more than backoff.max, which is 50, got 100']],
  [
    '{"dns": {"interval": "25h"}}',
    ["dns.interval: expected milliseconds (an integer from 0 to 86400000; 0 for the answers' own), got 90000000"],
  ],
  [
    '{"dns": {"servers": ["x"], "interval": []}}',
    [
      "dns.servers[0]: expected IP, IP:PORT or [IPV6]:PORT, got 'x'",
      'dns.interval: expected a time such as 500ms, 30s or 5m, got a list',
    ],
  ],
  [
    '{"tls": [{"cert": "a"}, "x"]}',
    [
      'tls[0].key: expected a path, or PEM as text or bytes, got none',
      "tls[1]: expected an object with cert and key, got 'x'",
    ],
  ],
  ['{"admin": {"host": "::1"}}', ['admin: expected a port, got none']],
  ['{"secretFile": "a\\u0000b"}', ["secretFile: expected a path, got 'a\\x00b'"]],
  [
    '{"grace": "soon", "maxFields": 1e9, "log": null, "key": {}}',
    [
      'key: expected client, path, header:NAME, cookie:NAME or query:NAME, got an object',
      'log: expected none, text, json or combined, got null',
      "grace: expected a time such as 500ms, 30s or 5m, got 'soon'",
      'maxFields: expected an integer from 1 to 1048576, got 1000000000',
    ],
  ],
  ['{"lookup": "x"}', ["lookup: expected a function (in a JS module), got 'x'"]],
  ['', [':1:1: value expected']],
  ['{\n  "listen": 80,\n  here\n}', [':3:3: invalid symbol']],
  ['{\n\t"listen": [,80],\n}', [':2:13: value expected']],
  ['{"a": tru}', [':1:7: invalid symbol']],
  ["{'a': 1}", [':1:2: invalid symbol']],
  ['{"a" 1}', [':1:6: colon expected']],
  ['{"a": 1', [':1:8: close brace expected']],
  ['{"a": 1} x', [':1:10: invalid symbol']],
  ['{"a": "b\n"}', [':1:7: unexpected end of string']],
  ['{"a": 01}', [':1:8: comma expected']],
  ['{"a": 1, "b": 2, "a": 3}', [":1:18: 'a' appears twice"]],
]

test.each(MISTAKES)('refuses the file %j and names each mistake', async (text, lines) => {
  expect(await refusal(json(text))).toEqual(lines)
  expect(({} as Record<string, unknown>).grace).toBeUndefined()
})

function balancerOptions({
  backends,
  algorithm,
  key,
  failover,
  queue,
  slowStart,
  retries,
  eject,
  health,
  backoff,
  dns,
  secret,
}: Config): BalancerOptions {
  return { backends, algorithm, key, failover, queue, slowStart, retries, eject, health, backoff, dns, secret }
}

test('refuses any JSON with ConfigError, or the balancer accepts it', async () => {
  const keys = Object.keys(SETTINGS)
  const text = fc.constantFrom(
    '3001',
    'a:1',
    'unix:/x',
    'tcp',
    '/x',
    '5s',
    'hash',
    'json',
    'unix',
    '',
    '\0',
    '__proto__',
  )
  const value = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.array(fc.oneof(text, fc.nat(70_000))))
  const key = fc.oneof(fc.constantFrom(...keys), fc.constantFrom('__proto__', 'constructor', 'port', 'weight'))
  const file = json('')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(key, value), { maxLength: 5 }), async (entries) => {
      const members = entries.map(([name, given]) => `${JSON.stringify(name)}: ${JSON.stringify(given)}`)
      writeFileSync(file, `{${members.join(', ')}}`)
      const config = await load(file, '3001').catch((error: unknown) => error)
      if (config instanceof ConfigError) for (const line of config.lines) expect(line).toMatch(/^\P{Cc}+$/u)
      else createBalancer(balancerOptions(config as Config)).close()
      expect(Object.keys(Object.prototype)).toEqual([])
    }),
  )
})
