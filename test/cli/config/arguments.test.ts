import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCommand, readArguments } from '../../../src/cli/config/arguments.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { HELP } from '../../../src/cli/config/help.ts'
import { OPTION_RULES } from '../../../src/proxy/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { DEFAULTS } from './support.ts'

async function read(...argv: string[]): Promise<Config> {
  const request = readArguments(argv)
  if (request.kind === 'print') throw new Error('expected a run')
  return await request.load()
}

async function refusal(...argv: string[]): Promise<string> {
  const error = await read(...argv).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ConfigError)) throw new Error(`was not refused: ${argv.join(' ')}`, { cause: error })
  expect(error.lines).toEqual([error.message])
  return error.message
}

const TARGETS = 'PORT, HOST:PORT, [IPV6]:PORT, http(s)://HOST, unix:PATH, dns:NAME:PORT or srv:NAME'
const ADDRESSES = 'PORT, HOST:PORT, [IPV6]:PORT, unix:PATH or fd:NAME'
const EJECT_STATUS = "a status from 500 to 599, a list of them, or ranges, as in '502-504' or '500,502-504'"
const NONE = 'TARGET: expected one or more, such as 3001 or host:3001, got none (see badass --help)'
const TIME = 'a time such as 500ms, 30s or 5m'
const alone = (place: string, others: string) => `${place}: has no effect without ${others}`
const H2 = '--alpn h2 --tls-cert a --tls-key b'

/** Arguments, separated by spaces, and their error line. */
const MISTAKES: [line: string, message: string][] = [
  ['', NONE],
  ['--sticky', NONE],
  ['host', `TARGET: expected ${TARGETS}, got 'host'`],
  ['http://host/a', "TARGET: expected an address, got 'http://host/a' (did you mean host:80?)"],
  ['http://host:0', "TARGET 'http://host:0': port: expected an integer from 1 to 65535, got '0'"],
  ['http://host:', "TARGET 'http://host:': port: expected an integer from 1 to 65535, got ''"],
  ['::1:80', `TARGET: expected ${TARGETS}, got '::1:80'`],
  ['[1.2.3.4]:80', `TARGET: expected ${TARGETS}, got '[1.2.3.4]:80'`],
  ['-1', `TARGET: expected ${TARGETS}, got '-1'`],
  ['3001 -- --listen', `TARGET: expected ${TARGETS}, got '--listen'`],
  ['dns:app', `TARGET: expected ${TARGETS}, got 'dns:app'`],
  ['0', "TARGET '0': port: expected an integer from 1 to 65535, got '0'"],
  ['99999', "TARGET '99999': port: expected an integer from 1 to 65535, got '99999'"],
  ['a:http', "TARGET 'a:http': port: expected an integer from 1 to 65535, got 'http'"],
  [':80', "TARGET ':80': host: expected a host name or an IP address, got ''"],
  ['256.1.1.1:80', "TARGET '256.1.1.1:80': host: expected a host name or an IP address, got '256.1.1.1'"],
  ['unix:', "TARGET 'unix:': path: expected a path, got ''"],
  ['dns:1.2.3.4:80', "TARGET 'dns:1.2.3.4:80': dns: expected a DNS name such as 'app.internal', got '1.2.3.4'"],
  ['srv:a:80', "TARGET 'srv:a:80': srv: expected a DNS name such as 'app.internal', got 'a:80'"],
  ['srv:a,id=x', "TARGET 'srv:a,id=x': id: has no effect with srv"],
  ['3001,weight=x', "TARGET '3001,weight=x': weight: expected an integer from 0 to 65535, got 'x'"],
  ['3001,weight', "TARGET '3001,weight': weight: expected weight=VALUE, got no value"],
  ['3001,weight=1,weight=2', "TARGET '3001,weight=1,weight=2': weight: appears twice"],
  ['3001,wieght=2', "TARGET '3001,wieght=2': wieght: unknown option (did you mean weight?)"],
  [
    '3001,',
    "TARGET '3001,': '': unknown option (expected weight, backup, id, max-connections, tls, send-proxy, host or protocol)",
  ],
  ['3001,backup=1', "TARGET '3001,backup=1': backup: expected no value, got '1'"],
  [
    '3001,max-connections=0',
    "TARGET '3001,max-connections=0': max-connections: expected an integer from 1 to 2147483647, got '0'",
  ],
  ['3001,tls=no', "TARGET '3001,tls=no': tls: expected true, false, 'insecure' or an object, got 'no'"],
  ['3001 localhost:3001', "TARGET: 'localhost:3001' appears twice"],
  ['3001,id=a 3002,id=a', "TARGET '3002,id=a': id: 'a' appears twice"],
  ['3001 --bogus', '--bogus: unknown option (see badass --help)'],
  ['-x 3001', '-x: unknown option (see badass --help)'],
  ['--shutdown-delay soon 3001', "--shutdown-delay: expected a time such as 500ms, 30s or 5m, got 'soon'"],
  ['--lsiten 80 3001', '--lsiten: unknown option (did you mean --listen?)'],
  ['--http2 no 3001', "--http2: expected pass or refuse, got 'no'"],
  ['--requests all 3001', "--requests: expected first, every or auto, got 'all'"],
  ['--every-request 3001', '--every-request: unknown option (did you mean --requests every?)'],
  ['--lenient-responses=1 3001', "--lenient-responses: expected no value, got '1'"],
  ['3001 --listen', '--listen: expected ADDRESS, got no value'],
  ['--listen x 3001', `--listen: expected ${ADDRESSES}, got 'x'`],
  ['--listen 65536 3001', "--listen: port: expected an integer from 0 to 65535, got '65536'"],
  ['--listen fd: 3001', "--listen: fd: expected a name of LISTEN_FDNAMES, got ''"],
  ['--listen fd:a:b 3001', "--listen: fd: expected a name of LISTEN_FDNAMES, got 'a:b'"],
  ['--listen fd:a,mode=660 3001', '--listen: mode: has no effect with fd'],
  ['--listen fd:a --listen fd:a 3001', "--listen: 'fd:a' appears twice"],
  ['--listen 80,group=root 3001', '--listen: group: has no effect with port'],
  ['--listen unix:/x,mode=rw 3001', "--listen: mode: expected an octal mode as text, such as '660', got 'rw'"],
  ['--listen unix:/x,mode=99 3001', "--listen: mode: expected an octal mode as text, such as '660', got '99'"],
  ['--listen unix:/x,mode 3001', '--listen: mode: expected mode=VALUE, got no value'],
  ['--listen unix:/x,size=1 3001', '--listen: size: unknown option (expected mode, group or tls)'],
  [
    '--listen unix:/x,group=no-such 3001',
    "--listen: group: expected a group in /etc/group, or its number, got 'no-such'",
  ],
  ['--listen 80,tls 3001', alone('--listen: tls', '--tls-cert and --tls-key')],
  ['--listen 80,tls=no 3001', "--listen: tls: expected no value, got 'no'"],
  ['--listen 80 --listen 80,tls --tls-cert a --tls-key b 3001', "--listen: '*:80' appears twice"],
  ['--listen 80 --listen 80 3001', "--listen: '*:80' appears twice"],
  ['--listen --sticky 3001', `--listen: expected ${ADDRESSES}, got '--sticky'`],
  ['--sticky= 3001', "--sticky: expected a token (RFC 6265 4.1.1), got ''"],
  ['--sticky=a;b 3001', "--sticky: expected a token (RFC 6265 4.1.1), got 'a;b'"],
  [
    '--algorithm roundrobin 3001',
    "--algorithm: expected round-robin, least-connections, random-two or hash, got 'roundrobin'",
  ],
  [
    '--algorithm hash --key header: 3001',
    "--key: expected client, path, header:NAME, cookie:NAME or query:NAME, got 'header:'",
  ],
  ['--failover no --sticky 3001', "--failover: expected redispatch or persist, got 'no'"],
  ['--rate 100 3001', "--rate: limit: expected a rate such as 100/s, 600/m or 1000/h, got '100'"],
  ['--rate 0/s 3001', "--rate: limit: expected a rate such as 100/s, 600/m or 1000/h, got '0/s'"],
  ['--rate 1/d 3001', "--rate: limit: expected a rate such as 100/s, 600/m or 1000/h, got '1/d'"],
  ['--rate 1/s,burst=0 3001', "--rate: burst: expected an integer from 1 to 1000000, got '0'"],
  ['--rate 1/s,brust=3 3001', '--rate: brust: unknown option (did you mean burst?)'],
  ['--queue soon 3001', "--queue: timeout: expected a time such as 500ms, 30s or 5m, got 'soon'"],
  ['--queue 0 3001', '--queue: timeout: expected milliseconds (an integer from 1 to 86400000), got 0'],
  ['--queue 5s,size=0 3001', "--queue: size: expected an integer from 1 to 1000000, got '0'"],
  ['--queue 5s,sise=9 3001', '--queue: sise: unknown option (did you mean size?)'],
  ['--slow-start slow 3001', "--slow-start: expected a time such as 500ms, 30s or 5m, got 'slow'"],
  ['--slow-start 25h 3001', '--slow-start: expected milliseconds (an integer from 0 to 86400000), got 90000000'],
  ['--retries 11 3001', "--retries: expected an integer from 0 to 10, got '11'"],
  ['--retries 1 --requests first 3001', alone('--retries', '--requests every')],
  ['--eject many 3001', "--eject: failures: expected an integer from 1 to 1000000, got 'many'"],
  ['--eject 0 3001', "--eject: failures: expected an integer from 1 to 1000000, got '0'"],
  ['--eject 5,min=1h 3001', '--eject: min: expected no more than eject.max, which is 300000, got 3600000'],
  ['--eject 5,status=404 3001', `--eject: status: expected ${EJECT_STATUS}, got '404'`],
  ['--health foo 3001', "--health: expected tcp or a path such as /healthz, got 'foo'"],
  ['--health tcp,host=a 3001', "--health: host: expected nothing with the type 'tcp', got 'a'"],
  ['--health tcp,rise=0 3001', '--health: rise: expected an integer from 1 to 1000, got 0'],
  ['--health tcp,interval=2x 3001', "--health: interval: expected a time such as 500ms, 30s or 5m, got '2x'"],
  ['--health tcp,fast=0 3001', '--health: fast: expected milliseconds (an integer from 1 to 86400000), got 0'],
  ['--health tcp,drain-status=404 3001', "--health: drain-status: expected nothing with the type 'tcp', got '404'"],
  ['--health tcp,fast=x 3001', "--health: fast: expected a time such as 500ms, 30s or 5m, got 'x'"],
  ['--health tcp,port=0 3001', '--health: port: expected an integer from 1 to 65535, got 0'],
  ['--health /a,intervall=2s 3001', '--health: intervall: unknown option (did you mean interval?)'],
  [
    '--health /a,status=9 3001',
    "--health: status: expected a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404', got '9'",
  ],
  [
    '--forwarded --trust 10.0.0.0/33 3001',
    "--trust: expected an IP address, a network such as 10.0.0.0/8, or 'unix', got '10.0.0.0/33'",
  ],
  ['--forwarded=yes 3001', "--forwarded: expected x, rfc7239, both, true or false, got 'yes'"],
  [
    '--proxy-protocol app 3001',
    "--proxy-protocol: expected an IP address, a network such as 10.0.0.0/8, or 'unix', got 'app'",
  ],
  [
    '--proxy-protocol= 3001',
    "--proxy-protocol: expected an IP address, a network such as 10.0.0.0/8, or 'unix', got ''",
  ],
  ['3001,host', "TARGET '3001,host': host: expected host=VALUE, got no value"],
  [
    '3001,host=a/b',
    "TARGET '3001,host=a/b': host: expected a host, with a port if the backend expects one, as in 'example.com' or '[::1]:3000', got 'a/b'",
  ],
  ['3001,send-proxy=3', "TARGET '3001,send-proxy=3': send-proxy: expected 1 or 2, got '3'"],
  ['--tls-cert a 3001', '--tls-cert: got 1, but 0 of --tls-key'],
  ['--tls-key b --tls-cert a --tls-key c 3001', '--tls-key: got 2, but 1 of --tls-cert'],
  ['--tls-cert= --tls-key=b 3001', "--tls-cert: expected a path, or PEM as text or bytes, got ''"],
  ['--tls-min-version 1.1 --tls-cert a --tls-key b 3001', "--tls-min-version: expected 1.2 or 1.3, got '1.1'"],
  ['--tls-min-version 1.3 3001', alone('--tls-min-version', '--tls-cert and --tls-key')],
  ['--tls-client-ca c 3001', alone('--tls-client-ca', '--tls-cert and --tls-key')],
  ['--tls-client-verify optional --tls-cert a --tls-key b 3001', alone('--tls-client-verify', '--tls-client-ca')],
  [
    '--tls-client-verify no --tls-client-ca c --tls-cert a --tls-key b 3001',
    "--tls-client-verify: expected required or optional, got 'no'",
  ],
  [
    '--tls-client-ca c --requests first --tls-cert a --tls-key b 3001',
    "--tls-client-ca: expected every request to be read, got requests 'first'",
  ],
  [
    '--tls-client-ca c --http2 pass --tls-cert a --tls-key b 3001',
    "--tls-client-ca: expected HTTP/2 to be refused, got http2 'pass'",
  ],
  ['--alpn h2 3001,protocol=h2', alone('--alpn', '--tls-cert and --tls-key')],
  ...['', 'h3', 'h2,', 'H2', 'http/1.0'].map((list): [string, string] => [
    `--alpn=${list} --tls-cert a --tls-key b 3001`,
    `--alpn: expected h2 or http/1.1, got '${list.replace('h2,', '')}'`,
  ]),
  ['--alpn h2,h2 --tls-cert a --tls-key b 3001', "--alpn: expected h2 or http/1.1, each once, got 'h2,h2'"],
  ['3001,protocol=h3', "TARGET '3001,protocol=h3': protocol: expected h1, h2 or both, got 'h3'"],
  ['3001,protocol=h2', alone("TARGET '3001,protocol=h2': protocol", '--alpn h2')],
  [
    '--alpn http/1.1 --tls-cert a --tls-key b 3001,protocol=h2',
    alone("TARGET '3001,protocol=h2': protocol", '--alpn h2'),
  ],
  [`${H2} 3001`, '--alpn: expected a target with protocol=h2 or protocol=both, got none'],
  [`${H2} 3001,protocol=h1`, '--alpn: expected a target with protocol=h2 or protocol=both, got none'],
  [
    `--alpn h2,http/1.1 --tls-cert a --tls-key b 3001,protocol=h2`,
    '--alpn: expected a target without protocol=h2 for http/1.1, got none',
  ],
  [
    `${H2} --health /h 3001,protocol=h2`,
    "TARGET '3001,protocol=h2': protocol: expected a health check by tcp or on a port of its own, as others are HTTP/1.1",
  ],
  ...[
    '--requests every',
    '--forwarded',
    '--forwarded=rfc7239',
    '--request-id',
    '--redirect-https=443 --listen 80 --listen 443,tls',
    '--tls-client-ca c',
    '--rate 5/s',
    '--sticky',
    '--retries 1',
    '--trust ::1 --max-connections-per-client 5',
  ].map((options): [string, string] => {
    const [, name = ''] = /^(--requests every|--[\w-]+)/.exec(options)!
    return [
      `${H2} ${options} 3001,protocol=both`,
      `--alpn: expected no h2 with ${name}, as requests in HTTP/2 pass unread`,
    ]
  }),
  [
    `${H2} --algorithm hash --key path 3001,protocol=both`,
    '--alpn: expected no h2 with --key other than client, as requests in HTTP/2 pass unread',
  ],
  [
    `${H2} 3001,protocol=both,host=a`,
    '--alpn: expected no h2 with a target with a Host of its own, as requests in HTTP/2 pass unread',
  ],
  [
    `${H2} --route /a=3001,protocol=both`,
    '--alpn: expected no h2 with a route with path, method, header or basePath, as requests in HTTP/2 pass unread',
  ],
  ['--admin unix:/x 3001', "--admin: expected [HOST:]PORT, got 'unix:/x'"],
  ['--admin 70000 3001', "--admin: port: expected an integer from 0 to 65535, got '70000'"],
  ['--log xml 3001', "--log: expected none, text, json or combined, got 'xml'"],
  ['--log none --log-file x 3001', '--log-file: has no effect without --log text, json or combined'],
  ['--grace 1y 3001', "--grace: expected a time such as 500ms, 30s or 5m, got '1y'"],
  ['--workers 0 3001', "--workers: expected auto or an integer from 1 to 256, got '0'"],
  ['--workers 257 3001', "--workers: expected auto or an integer from 1 to 256, got '257'"],
  ['--workers many 3001', "--workers: expected auto or an integer from 1 to 256, got 'many'"],
  ['--workers', '--workers: expected N, got no value'],
  ['--head-timeout 25d 3001', `--head-timeout: expected ${TIME}, got '25d'`],
  ['--idle-timeout -5 3001', `--idle-timeout: expected ${TIME}, got '-5'`],
  ['--max-head-bytes 16k 3001', "--max-head-bytes: expected an integer from 1 to 1073741824, got '16k'"],
  ['--max-connections 0 3001', "--max-connections: expected an integer from 1 to 2147483647, got '0'"],
  ['--max-fields 0 3001', "--max-fields: expected an integer from 1 to 1048576, got '0'"],
  ['--dns-server x dns:a:1', "--dns-server: expected IP, IP:PORT or [IPV6]:PORT, got 'x'"],
  ['--dns-interval x dns:a:1', "--dns-interval: expected a time such as 500ms, 30s or 5m, got 'x'"],
  ['--redirect-https=x 3001', "--redirect-https: expected true, false or an integer from 1 to 65535, got 'x'"],
  ['--redirect-https=0 3001', "--redirect-https: expected true, false or an integer from 1 to 65535, got '0'"],
  [
    '--redirect-https 3001',
    '--redirect-https: expected a listener with TLS, a port, or a trusted proxy that speaks TLS, got none',
  ],
  ['--redirect-https --tls-cert a --tls-key b 3001', '--redirect-https: has no effect if all listeners speak TLS'],
  [
    '--redirect-https=443 --requests first 3001',
    "--redirect-https: expected every request to be read, got requests 'first'",
  ],
  ['--key path 3001', alone('--key', '--algorithm hash')],
  [
    '--trust unix 3001',
    alone(
      '--trust',
      '--forwarded, --request-id, --redirect-https, --max-connections-per-client, --rate, or --algorithm hash and --key client',
    ),
  ],
  ['--secret-file x 3001', alone('--secret-file', '--sticky')],
  ['--failover persist 3001', alone('--failover', '--sticky')],
  ['--admin-token-file x 3001', alone('--admin-token-file', '--admin')],
  ['--admin-requests 3001', alone('--admin-requests', '--admin')],
  ['--dns-server 10.0.0.2 app:80', alone('--dns-server', 'a dns: or srv: target')],
  ['--dns-interval 5s app:80', alone('--dns-interval', 'a dns: or srv: target')],
  ['--dns-hold 5s app:80', alone('--dns-hold', 'a dns: or srv: target')],
  ['--config badass.yaml', "--config: expected a .json, .js or .mjs file, got 'badass.yaml'"],
  ['--config /nowhere/x.json', "--config: cannot read '/nowhere/x.json': no such file or directory"],
  ['--config /nowhere/x.mjs', "--config: cannot read '/nowhere/x.mjs': no such file or directory"],
  ['--secret-file /nowhere/s --sticky 3001', "--secret-file: cannot read '/nowhere/s': no such file or directory"],
  ['--secret-file / --sticky 3001', "--secret-file: cannot read '/': illegal operation on a directory"],
  ['--secret-file /dev/null --sticky 3001', "--secret-file: '/dev/null' is empty"],
]

test.each(MISTAKES)('refuses badass %s in one line', async (line, message) => {
  expect(await refusal(...line.split(' ').filter((argument) => argument !== ''))).toBe(message)
})

test('escapes line ends and control characters in an error line', async () => {
  expect(await refusal('a\nb')).toBe(`TARGET: expected ${TARGETS}, got 'a\\nb'`)
  expect(await refusal('--x\n\u001b[2J\u2028', '3001')).toBe(
    '--x\\x0a\\x1b[2J\\u2028: unknown option (see badass --help)',
  )
  expect(await refusal('x'.repeat(10_000))).toMatch(/^TARGET: expected .*, got 'x{100}'\.\.\. 9900 more characters$/)
})

const IDLE = { idleTimeout: 3_600_000 }
const USUAL: Config = { ...DEFAULTS, listen: [{ port: 8080 }], backends: [{ port: 3001 }], limits: IDLE }

const STICKY = { name: 'sticky', insert: true, indirect: true }
const EVERY = { requests: 'every' } as const
const OFFERING_H2: Partial<Config> = {
  listen: [{ port: 8080, tls: true }],
  tls: [{ cert: 'a', key: 'b' }],
  alpn: ['h2'],
}

/** Arguments, and the settings that they change. */
const RIGHT: [line: string, changed: Partial<Config>][] = [
  ['3001', {}],
  ['-- 3001', {}],
  ['--listen 80 3001', { listen: [{ port: 80 }] }],
  ['--listen fd:web 3001', { listen: [{ fd: 'web' }] }],
  ['--listen unix:/x,mode=0660,group=root 3001', { listen: [{ path: '/x', mode: 0o660, group: 0 }] }],
  ['--listen unix:/x,group=33 3001', { listen: [{ path: '/x', group: 33 }] }],
  ['--shutdown-delay 5s 3001', { shutdownDelay: 5_000 }],
  ['3001 --listen=80', { listen: [{ port: 80 }] }],
  [
    '--listen 0 3001 --listen 0 --listen localhost:1 --listen [::]:2 --listen unix:/x',
    { listen: [{ port: 0 }, { port: 0 }, { host: 'localhost', port: 1 }, { host: '::', port: 2 }, { path: '/x' }] },
  ],
  ['--sticky 3001', { ...EVERY, sticky: STICKY }],
  ['3001 --sticky', { ...EVERY, sticky: STICKY }],
  ['--sticky -- 3001', { ...EVERY, sticky: STICKY }],
  ['--sticky=home 3001', { ...EVERY, sticky: { ...STICKY, name: 'home' } }],
  ['--sticky --failover persist 3001', { ...EVERY, sticky: STICKY, failover: 'persist' }],
  ['--queue 5s 3001', { queue: { timeout: 5_000 } }],
  ['--slow-start 30s 3001', { slowStart: 30_000 }],
  ['--retries 2 3001', { ...EVERY, retries: 2 }],
  ['--eject 5 3001', { eject: { failures: 5 } }],
  ['--eject 5,min=1s,max=2s,status=500 3001', { eject: { failures: 5, min: 1_000, max: 2_000, status: '500' } }],
  ['--queue 500,size=20 3001', { queue: { timeout: 500, size: 20 } }],
  ['--algorithm least-connections 3001', { algorithm: 'least-connections' }],
  ['--algorithm hash --key header:X-User 3001', { algorithm: 'hash', key: 'header:X-User', ...EVERY }],
  ['--algorithm hash --key cookie:user 3001', { algorithm: 'hash', key: 'cookie:user', ...EVERY }],
  ['--algorithm hash --key query:room 3001', { algorithm: 'hash', key: 'query:room', ...EVERY }],
  ['--algorithm hash --trust unix 3001', { algorithm: 'hash', trust: ['unix'], ...EVERY }],
  [
    '--forwarded --trust 10.0.0.0/8,unix --trust ::1 3001',
    { ...EVERY, forwarded: 'x', trust: ['10.0.0.0/8', 'unix', '::1'] },
  ],
  ['--forwarded=rfc7239 3001', { ...EVERY, forwarded: 'rfc7239' }],
  ['3001 --forwarded=both', { ...EVERY, forwarded: 'both' }],
  ['app:443,tls,host=a.test', { ...EVERY, backends: [{ host: 'app', port: 443, tls: true, hostHeader: 'a.test' }] }],
  ['unix:/x,host=a.test:80', { ...EVERY, backends: [{ path: '/x', hostHeader: 'a.test:80' }] }],
  ['--proxy-protocol 10.0.0.0/8,unix --proxy-protocol ::1 3001', { proxyProtocol: ['10.0.0.0/8', 'unix', '::1'] }],
  ['--redirect-https=8443 3001', { ...EVERY, redirectHttps: 8443 }],
  ['--redirect-https --trust unix 3001', { ...EVERY, redirectHttps: 443, trust: ['unix'] }],
  [
    '--listen 80 --listen 8443,tls --redirect-https --tls-cert a --tls-key b 3001',
    {
      ...EVERY,
      listen: [{ port: 80 }, { port: 8443, tls: true }],
      redirectHttps: 8443,
      tls: [{ cert: 'a', key: 'b' }],
    },
  ],
  ['--health /a,port=8081,fast=500ms 3001', { health: { path: '/a', port: 8081, fastInterval: 500 } }],
  ['--health /a,drain-status=404 3001', { health: { path: '/a', drainStatus: '404' } }],
  ['--health tcp 3001', { health: { type: 'tcp' } }],
  [
    '--health /h?a=b,interval=2s,timeout=500ms,rise=1,fall=5,status=200-204,host=a.test 3001',
    { health: { path: '/h?a=b', interval: 2000, timeout: 500, rise: 1, fall: 5, status: '200-204', host: 'a.test' } },
  ],
  ['--requests every 3001', EVERY],
  ['--requests auto 3001', {}],
  ['--requests first --sticky --forwarded 3001', { sticky: STICKY, forwarded: 'x' }],
  ['--algorithm hash 3001', { algorithm: 'hash' }],
  ['--algorithm hash --key path 3001', { algorithm: 'hash', key: 'path', ...EVERY }],
  ['--http2 pass 3001', { http2: 'pass' }],
  ['--http2 refuse 3001', { http2: 'refuse' }],
  [
    `${H2} 3001,protocol=h2 --max-connections-per-client 5 --algorithm hash --queue 5s --health tcp`,
    {
      ...OFFERING_H2,
      backends: [{ port: 3001, protocol: 'h2' }],
      algorithm: 'hash',
      queue: { timeout: 5000 },
      health: { type: 'tcp' },
      maxConnectionsPerClient: 5,
    },
  ],
  [
    `${H2} --alpn http/1.1 3001 3002,protocol=both --requests first`,
    {
      ...OFFERING_H2,
      alpn: ['h2', 'http/1.1'],
      backends: [
        { port: 3001, protocol: 'h1' },
        { port: 3002, protocol: 'both' },
      ],
    },
  ],
  [
    '--alpn http/1.1 --tls-cert a --tls-key b --forwarded 3001',
    { ...OFFERING_H2, ...EVERY, alpn: ['http/1.1'], forwarded: 'x' },
  ],
  [
    '--tls-min-version 1.3 --tls-cert a --tls-key b 3001',
    { listen: [{ port: 8080, tls: true }], tls: [{ cert: 'a', key: 'b' }], tlsMinVersion: '1.3' },
  ],
  ...['', '--tls-client-verify required ', '--tls-client-verify optional '].map((verify): [string, object] => [
    `--tls-client-ca c ${verify}--tls-cert a --tls-key b 3001`,
    {
      ...EVERY,
      listen: [{ port: 8080, tls: true }],
      tls: [{ cert: 'a', key: 'b' }],
      clientCa: { pem: 'c', isRequired: !verify.includes('optional') },
    },
  ]),
  [
    '--tls-cert a --tls-cert b --tls-key c --tls-key d 3001',
    {
      listen: [{ port: 8080, tls: true }],
      tls: [
        { cert: 'a', key: 'c' },
        { cert: 'b', key: 'd' },
      ],
    },
  ],
  [
    '--listen 80 --listen unix:/x,mode=600,tls --listen fd:web,tls --tls-cert a --tls-key b 3001',
    {
      listen: [{ port: 80 }, { path: '/x', mode: 0o600, tls: true }, { fd: 'web', tls: true }],
      tls: [{ cert: 'a', key: 'b' }],
    },
  ],
  ['--admin 9000 3001', { admin: { listen: { host: '127.0.0.1', port: 9000 }, token: undefined } }],
  ['--admin 0.0.0.0:9000 3001', { admin: { listen: { host: '0.0.0.0', port: 9000 }, token: undefined } }],
  ['--admin [::1]:9000 3001', { admin: { listen: { host: '::1', port: 9000 }, token: undefined } }],
  ['--log text --log json 3001', { log: 'json' }],
  ['--max-connections 500 3001', { maxConnections: 500 }],
  ['--max-connections-per-client 5 3001', { maxConnectionsPerClient: 5 }],
  [
    '--max-connections-per-client 5 --trust unix 3001',
    { maxConnectionsPerClient: 5, trust: ['unix'], requests: 'every' },
  ],
  ['--rate 100/s 3001', { rate: { requests: 100, per: 1_000, burst: 100 }, requests: 'every' }],
  ['--rate 60/m,burst=5 --requests first 3001', { rate: { requests: 60, per: 60_000, burst: 5 }, requests: 'first' }],
  [
    '--rate 7/h --trust unix 3001',
    { rate: { requests: 7, per: 3_600_000, burst: 7 }, trust: ['unix'], requests: 'every' },
  ],
  ['--idle-timeout 0 3001', { limits: { idleTimeout: 0 } }],
  ['--grace 0 3001', { grace: 0 }],
  ['--workers 3 3001', { workers: 3 }],
  ['--workers auto 3001', { workers: Math.min(availableParallelism(), 256) }],
  [
    '--head-timeout 1s --connect-timeout 2s --response-head-timeout 3s --idle-timeout 4m --half-close-timeout 5 3001',
    {
      limits: {
        headTimeout: 1000,
        connectTimeout: 2000,
        responseHeadTimeout: 3000,
        idleTimeout: 240_000,
        halfCloseTimeout: 5,
      },
    },
  ],
  ['--max-head-bytes 1000 --max-fields 10 3001', { limits: { ...IDLE, maxHeadBytes: 1000, maxFields: 10 } }],
  ['--lenient-responses 3001', { limits: { ...IDLE, lenientResponses: true } }],
  [
    '--dns-server 10.0.0.2,[::1]:53 --dns-server 10.0.0.3 --dns-interval 5s dns:a:1',
    { backends: [{ dns: 'a', port: 1 }], dns: { servers: ['10.0.0.2', '[::1]:53', '10.0.0.3'], interval: 5000 } },
  ],
]

test.each(RIGHT)('parses badass %s', async (line, changed) => {
  expect(await read(...line.split(' '))).toEqual({ ...USUAL, ...changed })
})

describe('files', () => {
  test('use each line of the secret file as a secret, in order and trimmed', async () => {
    const file = join(temporaryDirectory(), 'secret')
    writeFileSync(file, '\ufeffnew \r\n\n  old\n')
    expect((await read('--sticky', '--secret-file', file, '3001')).secret).toEqual(['new', 'old'])
  })

  test('are read again for each load', async () => {
    const file = join(temporaryDirectory(), 'secret')
    writeFileSync(file, 'one')
    const request = readArguments(['--sticky', '--secret-file', file, '3001'])
    if (request.kind !== 'run') throw new Error('expected a run')
    expect((await request.load()).secret).toEqual(['one'])
    writeFileSync(file, 'two')
    expect((await request.load()).secret).toEqual(['two'])
  })

  test('include a token file with one line of visible ASCII', async () => {
    const file = join(temporaryDirectory(), 'token')
    const options = ['--admin', '9000', '--admin-token-file', file, '3001']
    writeFileSync(file, 'abc\n')
    expect((await read(...options)).admin?.token).toBe('abc')
    writeFileSync(file, 'abc\ndef')
    expect(await refusal(...options)).toBe(`--admin-token-file: expected one line in '${file}', got 2`)
    writeFileSync(file, 'a b')
    expect(await refusal(...options)).toBe(`--admin-token-file: expected visible ASCII without spaces in '${file}'`)
  })
})

describe('the help text', () => {
  test.each([['--help'], ['-h'], ['3001 --help'], ['--bogus --help']])('is printed by %s', (line) => {
    expect(readArguments(line.split(' '))).toEqual({ kind: 'print', text: HELP })
  })

  test.each([['--version'], ['-V'], ['3001 -V']])('is replaced by the version with %s', (line) => {
    expect(readArguments(line.split(' '))).toEqual({
      kind: 'print',
      text: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
    })
  })

  test('is short', () => {
    const lines = HELP.trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(60)
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  test('lists all options and no others', () => {
    const command = createCommand()
    const known = [...command.options.flatMap(({ short, long }) => [short, long]), '-h', '--help'].filter(Boolean)
    const named = HELP.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g)
    expect([...new Set(named)].sort()).toEqual([...new Set(known)].sort())
  })

  test('shows the defaults of the engine', () => {
    const shown = (option: string) => new RegExp(`${option} \\w+ \\[(\\w+)\\]`).exec(HELP)?.[1]
    expect(shown('--head-timeout')).toBe(`${(OPTION_RULES.headTimeout.default as number) / 1000}s`)
    expect(shown('--connect-timeout')).toBe(`${(OPTION_RULES.connectTimeout.default as number) / 1000}s`)
    expect(shown('--half-close-timeout')).toBe(`${(OPTION_RULES.halfCloseTimeout.default as number) / 60_000}m`)
    // The engine has no default for these.
    expect(shown('--idle-timeout')).toBe(`${IDLE.idleTimeout / 3_600_000}h`)
    expect(HELP).toContain(`--response-head-timeout TIME [${OPTION_RULES.responseHeadTimeout.default}; every: 1m]`)
    expect(shown('--max-head-bytes')).toBe(String(OPTION_RULES.maxHeadBytes.default))
    expect(shown('--max-fields')).toBe(String(OPTION_RULES.maxFields.default))
  })

  test('shows valid examples', async () => {
    const examples = HELP.split('Examples\n')[1]!.trimEnd().split('\n')
    expect(examples.length).toBeGreaterThan(1)
    for (const example of examples) {
      const [name, ...argv] = example.trim().split(' ')
      expect(name).toBe('badass')
      expect((await read(...argv)).backends.length).toBeGreaterThan(0)
    }
  })
})
