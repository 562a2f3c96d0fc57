import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { settingsSchema } from '../../../src/cli/config/schema.ts'
import { type BalancerOptions, createBalancer } from '../../../src/sticky/index.ts'
import { json, load, refusal, TARGETS } from './support.ts'

/** The file, and the line for each mistake in it. */
const MISTAKES: [text: string, lines: string[]][] = [
  ['null', ['got null; takes an object of settings']],
  ['[]', ['got a list; takes an object of settings']],
  ['3001', ['got 3001; takes an object of settings']],
  [
    '{"lsiten": 1, "bogus": 2}',
    ['lsiten: is no option; did you mean listen?', 'bogus: is no option; see badass --help'],
  ],
  [
    '{"__proto__": {"grace": 1}, "constructor": 1, "toString": 2, "": 3, "a b": 4}',
    [
      '__proto__: is no option; see badass --help',
      'constructor: is no option; see badass --help',
      'toString: is no option; see badass --help',
      "['']: is no option; see badass --help",
      "['a b']: is no option; see badass --help",
    ],
  ],
  ['{"backends": null}', [`backends: got null; takes ${TARGETS}, or an object`]],
  [
    '{"backends": ["x", null, [], 1.5, 1e400, -1, true]}',
    [
      `backends[0]: got 'x'; takes ${TARGETS}`,
      `backends[1]: got null; takes ${TARGETS}, or an object`,
      `backends[2]: got a list; takes ${TARGETS}, or an object`,
      `backends[3]: got '1.5'; takes ${TARGETS}`,
      `backends[4]: got 'Infinity'; takes ${TARGETS}`,
      `backends[5]: got '-1'; takes ${TARGETS}`,
      `backends[6]: got true; takes ${TARGETS}, or an object`,
    ],
  ],
  [
    '{"backends": [3001, {"port": 3002, "weight": 1e400, "wieght": 1, "backup": "yes"}, "3003,weight=x"]}',
    [
      'backends[1].weight: got Infinity; takes an integer from 0 to 65535',
      "backends[1].backup: got 'yes'; takes true or false",
      'backends[1].wieght: is no option; did you mean weight?',
      "backends[2].weight: got 'x'; takes an integer from 0 to 65535",
    ],
  ],
  ['{"backends": {"port": 1, "weight": -1}}', ['backends.weight: got -1; takes an integer from 0 to 65535']],
  [
    '{"backends": [{}, {"host": "a"}, {"port": 1, "path": "/x"}, {"srv": "a", "port": 1}, {"dns": "a"}]}',
    [
      'backends[0]: got no address; takes a port, path, dns or srv',
      'backends[1]: got no address; takes a port, path, dns or srv',
      'backends[2].port: got 1; takes nothing beside path',
      'backends[3].port: got 1; takes nothing beside srv',
      'backends[4].port: got none; takes an integer from 1 to 65535',
    ],
  ],
  [
    '{"backends": [{"__proto__": {"port": 1}}]}',
    [
      'backends[0].__proto__: is no option; takes port, host, path, dns, srv, id, weight, maxConnections, backup, tls or sendProxy',
      'backends[0]: got no address; takes a port, path, dns or srv',
    ],
  ],
  [
    '{"backends": [1, {"port": 2, "id": "127.0.0.1:1"}, {"port": 3, "id": "a\\nb"}, {"port": 4, "tls": {"cn": 1}}]}',
    [
      "backends[2].id: got 'a\\nb'; takes a text of 1 to 200 characters",
      'backends[3].tls.cn: is no option; takes servername, rejectUnauthorized, ca, cert or key',
    ],
  ],
  ['{"backends": [1, {"port": 2, "id": "127.0.0.1:1"}]}', ["backends[1].id: got '127.0.0.1:1' twice; takes each once"]],
  ['{"backends": ["srv:a", "srv:a,backup"]}', ["backends[1]: got 'srv:a' twice; takes each once"]],
  [
    '{"listen": [{"port": 1}, {"port": 99999}, {"dns": "a"}]}',
    [
      'listen[1].port: got 99999; takes an integer from 0 to 65535',
      'listen[2].dns: is no option; takes port, host or path',
      'listen[2]: got no address; takes a port or a path',
    ],
  ],
  ['{"sticky": 5}', ["sticky: got 5; takes a cookie's name, true, false or an object"]],
  ['{"sticky": {"name": "a b"}}', ["sticky.name: got 'a b'; takes a token (RFC 6265 4.1.1)"]],
  ['{"sticky": {"insert": 1}}', ['sticky.insert: got 1; takes true or false']],
  [
    '{"sticky": "__Host-a"}',
    ["sticky.attributes: got 'Path=/; HttpOnly'; takes Secure, Path=/ and no Domain with the name '__Host-a'"],
  ],
  ['{"health": {"type": "udp"}}', ["health.type: got 'udp'; takes 'tcp' or 'http'"]],
  ['{"health": {"status": 200}}', ["health.status: got 200; takes nothing without a path, or the type 'http'"]],
  ['{"backoff": {"min": 10, "max": 5}}', ['backoff.min: got 10; takes no more than backoff.max, which is 5']],
  ['{"backoff": {"max": 50}}', ['backoff.min: got 100; takes no more than backoff.max, which is 50']],
  [
    '{"dns": {"interval": "25h"}}',
    ["dns.interval: got 90000000; takes an integer from 0 to 86400000 (ms; 0 for the answers' own)"],
  ],
  [
    '{"dns": {"servers": ["x"], "interval": []}}',
    [
      "dns.servers[0]: got 'x'; takes IP, IP:PORT or [IPV6]:PORT",
      'dns.interval: got a list; takes an integer from 0 to 2147483647 (ms) or a time such as 30s',
    ],
  ],
  [
    '{"tls": [{"cert": "a"}, "x"]}',
    ['tls[0].key: got none; takes a path', "tls[1]: got 'x'; takes an object with cert and key"],
  ],
  ['{"admin": {"host": "::1"}}', ['admin: got no address; takes a port']],
  ['{"secretFile": "a\\u0000b"}', ["secretFile: got 'a\\x00b'; takes a path"]],
  [
    '{"grace": "soon", "maxFields": 1e9, "log": null, "key": {}}',
    [
      'key: got an object; takes client, path or header:NAME',
      'log: got null; takes none, text or json',
      "grace: got 'soon'; takes an integer from 0 to 2147483647 (ms) or a time such as 30s",
      'maxFields: got 1000000000; takes an integer from 1 to 1048576',
    ],
  ],
  ['{"lookup": "x"}', ["lookup: got 'x'; takes a function, of a JS module"]],
  ['', [':1:1: got the end; takes a value']],
  ['{\n  "listen": 80,\n  // here\n}', [':3:3: got a comment; takes a key in double quotes']],
  ['{\n\t"listen": [80,],\n}', [':2:16: got ]; takes a value']],
  ['{"a": tru}', [':1:7: got tru; takes a value']],
  ["{'a': 1}", [":1:2: got '; takes a key in double quotes or }"]],
  ['{"a" 1}', [':1:6: got 1; takes a colon']],
  ['{"a": 1', [':1:8: got the end; takes a comma or }']],
  ['{"a": 1} x', [':1:10: got x; takes nothing more']],
  ['{"a": "b\n"}', [':1:7: got "b; takes a value']],
  ['{"a": 01}', [':1:7: got 01; takes a value']],
]

test.each(MISTAKES)('the file %j is refused, and each mistake named', async (text, lines) => {
  expect(await refusal(json(text))).toEqual(lines)
  expect(({} as Record<string, unknown>).grace).toBeUndefined()
})

function balancerOptions({
  backends,
  algorithm,
  key,
  failover,
  health,
  backoff,
  dns,
  secret,
}: Config): BalancerOptions {
  return { backends, algorithm, key, failover, health, backoff, dns, secret }
}

test('any JSON is refused with ConfigError, or is what the balancer takes', async () => {
  const keys = Object.keys(settingsSchema((path) => path).shape)
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
