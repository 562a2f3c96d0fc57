import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCommand, readArguments } from '../../../src/cli/config/arguments.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { HELP } from '../../../src/cli/config/help.ts'
import { OPTION_RULES } from '../../../src/proxy/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

async function read(...argv: string[]): Promise<Config> {
  const request = readArguments(argv)
  if (request.kind === 'print') throw new Error('takes no --help')
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

const TARGETS = 'PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, dns:NAME:PORT or srv:NAME'
const ADDRESSES = 'PORT, HOST:PORT, [IPV6]:PORT or unix:PATH'
const NONE = 'TARGET: got none; takes one or more, such as 3001 or host:3001 (see badass --help)'
const TIME = 'an integer from 0 to 2147483647 (ms; 0 for none) or a time such as 30s'
const alone = (place: string, takes: string) => `${place}: is for nothing by itself; takes effect with ${takes}`

/** The arguments, between blanks, and the one line that they get. */
const MISTAKES: [line: string, message: string][] = [
  ['', NONE],
  ['--sticky', NONE],
  ['host', `TARGET: got 'host'; takes ${TARGETS}`],
  ['http://host:80', `TARGET: got 'http://host:80'; takes ${TARGETS}`],
  ['::1:80', `TARGET: got '::1:80'; takes ${TARGETS}`],
  ['[1.2.3.4]:80', `TARGET: got '[1.2.3.4]:80'; takes ${TARGETS}`],
  ['-1', `TARGET: got '-1'; takes ${TARGETS}`],
  ['3001 -- --listen', `TARGET: got '--listen'; takes ${TARGETS}`],
  ['dns:app', `TARGET: got 'dns:app'; takes ${TARGETS}`],
  ['0', "TARGET '0': port: got '0'; takes an integer from 1 to 65535"],
  ['99999', "TARGET '99999': port: got '99999'; takes an integer from 1 to 65535"],
  ['a:http', "TARGET 'a:http': port: got 'http'; takes an integer from 1 to 65535"],
  [':80', "TARGET ':80': host: got ''; takes a name, an IPv4 or an IPv6 address"],
  ['256.1.1.1:80', "TARGET '256.1.1.1:80': host: got '256.1.1.1'; takes a name, an IPv4 or an IPv6 address"],
  ['unix:', "TARGET 'unix:': path: got ''; takes a path"],
  ['dns:1.2.3.4:80', "TARGET 'dns:1.2.3.4:80': dns: got '1.2.3.4'; takes a name of the DNS, as in 'app.internal'"],
  ['srv:a:80', "TARGET 'srv:a:80': srv: got 'a:80'; takes a name of the DNS, as in 'app.internal'"],
  ['srv:a,id=x', "TARGET 'srv:a,id=x': id: got 'x'; takes nothing beside srv"],
  ['3001,weight=x', "TARGET '3001,weight=x': weight: got 'x'; takes an integer from 0 to 65535"],
  ['3001,weight', "TARGET '3001,weight': weight: got no value; takes weight=VALUE"],
  ['3001,weight=1,weight=2', "TARGET '3001,weight=1,weight=2': weight: is given twice; takes one"],
  ['3001,wieght=2', "TARGET '3001,wieght=2': wieght: is no option; did you mean weight?"],
  ['3001,', "TARGET '3001,': '': is no option; takes weight, backup, id, max-connections, tls or send-proxy"],
  ['3001,backup=1', "TARGET '3001,backup=1': backup: got '1'; takes no value"],
  [
    '3001,max-connections=0',
    "TARGET '3001,max-connections=0': max-connections: got '0'; takes an integer from 1 to 2147483647",
  ],
  ['3001,tls=no', "TARGET '3001,tls=no': tls: got 'no'; takes true, false, 'insecure' or an object"],
  ['3001 127.0.0.1:3001', "TARGET: got '127.0.0.1:3001' twice; takes each once"],
  ['3001,id=a 3002,id=a', "TARGET '3002,id=a': id: got 'a' twice; takes each once"],
  ['3001 --bogus', '--bogus: is no option; see badass --help'],
  ['-x 3001', '-x: is no option; see badass --help'],
  ['--lsiten 80 3001', '--lsiten: is no option; did you mean --listen?'],
  ['--every-request=1 3001', "--every-request: got '1'; takes no value"],
  ['--lenient-responses=1 3001', "--lenient-responses: got '1'; takes no value"],
  ['3001 --listen', '--listen: got no value; takes ADDRESS'],
  ['--listen x 3001', `--listen: got 'x'; takes ${ADDRESSES}`],
  ['--listen 65536 3001', "--listen: port: got '65536'; takes an integer from 0 to 65535"],
  ['--listen 80 --listen 80 3001', "--listen: got '*:80' twice; takes each once"],
  ['--listen --sticky 3001', `--listen: got '--sticky'; takes ${ADDRESSES}`],
  ['--sticky= 3001', "--sticky: got ''; takes a token (RFC 6265 4.1.1)"],
  ['--sticky=a;b 3001', "--sticky: got 'a;b'; takes a token (RFC 6265 4.1.1)"],
  [
    '--algorithm roundrobin 3001',
    "--algorithm: got 'roundrobin'; takes round-robin, least-connections, random-two or hash",
  ],
  ['--algorithm hash --key header: 3001', "--key: got 'header:'; takes client, path or header:NAME"],
  ['--failover no --sticky 3001', "--failover: got 'no'; takes redispatch or persist"],
  ['--health foo 3001', "--health: got 'foo'; takes tcp or a path such as /healthz"],
  ['--health tcp,host=a 3001', "--health: host: got 'a'; takes nothing with the type 'tcp'"],
  ['--health tcp,rise=0 3001', "--health: rise: got '0'; takes an integer from 1 to 1000"],
  [
    '--health tcp,interval=2x 3001',
    "--health: interval: got '2x'; takes an integer from 1 to 86400000 (ms) or a time such as 30s",
  ],
  ['--health /a,intervall=2s 3001', '--health: intervall: is no option; did you mean interval?'],
  [
    '--health /a,status=9 3001',
    "--health: status: got '9'; takes a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404'",
  ],
  ['--forwarded --trust 10.0.0.0/33 3001', "--trust: got '10.0.0.0/33'; takes an IP, a CIDR range or 'unix'"],
  ['--proxy-protocol app 3001', "--proxy-protocol: got 'app'; takes an IP, a CIDR range or 'unix'"],
  ['--proxy-protocol= 3001', "--proxy-protocol: got ''; takes an IP, a CIDR range or 'unix'"],
  ['3001,send-proxy=3', "TARGET '3001,send-proxy=3': send-proxy: got '3'; takes an integer from 1 to 2"],
  ['--tls-cert a 3001', '--tls-cert: got 1, and 0 of --tls-key; takes one for each'],
  ['--tls-key b --tls-cert a --tls-key c 3001', '--tls-key: got 2, and 1 of --tls-cert; takes one for each'],
  ['--tls-cert= --tls-key=b 3001', "--tls-cert: got ''; takes a path"],
  ['--admin unix:/x 3001', "--admin: got 'unix:/x'; takes [HOST:]PORT"],
  ['--admin 70000 3001', "--admin: port: got '70000'; takes an integer from 0 to 65535"],
  ['--log xml 3001', "--log: got 'xml'; takes none, text or json"],
  ['--grace 1y 3001', "--grace: got '1y'; takes an integer from 0 to 2147483647 (ms) or a time such as 30s"],
  ['--workers 0 3001', "--workers: got '0'; takes auto or an integer from 1 to 256"],
  ['--workers 257 3001', "--workers: got '257'; takes auto or an integer from 1 to 256"],
  ['--workers many 3001', "--workers: got 'many'; takes auto or an integer from 1 to 256"],
  ['--workers', '--workers: got no value; takes N'],
  ['--head-timeout 25d 3001', `--head-timeout: got '25d'; takes ${TIME}`],
  ['--idle-timeout -5 3001', `--idle-timeout: got '-5'; takes ${TIME}`],
  ['--max-head-bytes 16k 3001', "--max-head-bytes: got '16k'; takes an integer from 1 to 1073741824 (bytes)"],
  ['--max-fields 0 3001', "--max-fields: got '0'; takes an integer from 1 to 1048576"],
  ['--dns-server x dns:a:1', "--dns-server: got 'x'; takes IP, IP:PORT or [IPV6]:PORT"],
  [
    '--dns-interval x dns:a:1',
    "--dns-interval: got 'x'; takes an integer from 0 to 2147483647 (ms) or a time such as 30s",
  ],
  ['--key path 3001', alone('--key', '--algorithm hash')],
  ['--trust unix 3001', alone('--trust', '--forwarded, or with --algorithm hash and --key client')],
  ['--secret-file x 3001', alone('--secret-file', '--sticky')],
  ['--failover persist 3001', alone('--failover', '--sticky')],
  ['--admin-token-file x 3001', alone('--admin-token-file', '--admin')],
  ['--dns-server 10.0.0.2 app:80', alone('--dns-server', 'a dns: or srv: target')],
  ['--dns-interval 5s app:80', alone('--dns-interval', 'a dns: or srv: target')],
  ['--config badass.yaml', "--config: got 'badass.yaml'; takes a file that ends in .json, .js or .mjs"],
  ['--config /nowhere/x.json', "--config: cannot read '/nowhere/x.json': no such file or directory"],
  ['--config /nowhere/x.mjs', "--config: cannot read '/nowhere/x.mjs': no such file or directory"],
  ['--secret-file /nowhere/s --sticky 3001', "--secret-file: cannot read '/nowhere/s': no such file or directory"],
  ['--secret-file / --sticky 3001', "--secret-file: cannot read '/': illegal operation on a directory"],
  [
    '--secret-file /dev/null --sticky 3001',
    "--secret-file: got '/dev/null', which is empty; takes a file with a line of text",
  ],
]

test.each(MISTAKES)('badass %s: is refused in one line', async (line, message) => {
  expect(await refusal(...line.split(' ').filter((argument) => argument !== ''))).toBe(message)
})

test('what would end the line, or move the cursor, is escaped in it', async () => {
  expect(await refusal('a\nb')).toBe(`TARGET: got 'a\\nb'; takes ${TARGETS}`)
  expect(await refusal('--x\n\u001b[2J\u2028', '3001')).toBe('--x\\x0a\\x1b[2J\\u2028: is no option; see badass --help')
  expect(await refusal('x'.repeat(10_000))).toMatch(/^TARGET: got 'x{100}'\.\.\. 9900 more characters; takes/)
})

const DEFAULTS: Config = {
  listen: [{ port: 8080 }],
  workers: 1,
  backends: [{ port: 3001 }],
  algorithm: 'round-robin',
  key: 'client',
  failover: 'redispatch',
  health: undefined,
  sticky: undefined,
  secret: undefined,
  everyRequest: false,
  forwarded: false,
  trust: [],
  tls: [],
  admin: undefined,
  log: 'none',
  grace: 30_000,
  limits: {},
  hooks: {},
}

/** The arguments, and what they change. */
const RIGHT: [line: string, changed: Partial<Config>][] = [
  ['3001', {}],
  ['-- 3001', {}],
  ['--listen 80 3001', { listen: [{ port: 80 }] }],
  ['3001 --listen=80', { listen: [{ port: 80 }] }],
  [
    '--listen 0 3001 --listen 0 --listen localhost:1 --listen [::]:2 --listen unix:/x',
    { listen: [{ port: 0 }, { port: 0 }, { host: 'localhost', port: 1 }, { host: '::', port: 2 }, { path: '/x' }] },
  ],
  ['--sticky 3001', { sticky: { name: 'sticky', insert: true, indirect: true } }],
  ['3001 --sticky', { sticky: { name: 'sticky', insert: true, indirect: true } }],
  ['--sticky -- 3001', { sticky: { name: 'sticky', insert: true, indirect: true } }],
  ['--sticky=home 3001', { sticky: { name: 'home', insert: true, indirect: true } }],
  [
    '--sticky --failover persist 3001',
    { sticky: { name: 'sticky', insert: true, indirect: true }, failover: 'persist' },
  ],
  ['--algorithm least-connections 3001', { algorithm: 'least-connections' }],
  ['--algorithm hash --key header:X-User 3001', { algorithm: 'hash', key: 'header:X-User' }],
  ['--algorithm hash --trust unix 3001', { algorithm: 'hash', trust: ['unix'] }],
  ['--forwarded --trust 10.0.0.0/8,unix --trust ::1 3001', { forwarded: true, trust: ['10.0.0.0/8', 'unix', '::1'] }],
  ['--proxy-protocol 10.0.0.0/8,unix --proxy-protocol ::1 3001', { proxyProtocol: ['10.0.0.0/8', 'unix', '::1'] }],
  ['--health tcp 3001', { health: { type: 'tcp' } }],
  [
    '--health /h?a=b,interval=2s,timeout=500ms,rise=1,fall=5,status=200-204,host=a.test 3001',
    { health: { path: '/h?a=b', interval: 2000, timeout: 500, rise: 1, fall: 5, status: '200-204', host: 'a.test' } },
  ],
  ['--every-request 3001', { everyRequest: true }],
  [
    '--tls-cert a --tls-cert b --tls-key c --tls-key d 3001',
    {
      tls: [
        { cert: 'a', key: 'c' },
        { cert: 'b', key: 'd' },
      ],
    },
  ],
  ['--admin 9000 3001', { admin: { listen: { host: '127.0.0.1', port: 9000 }, token: undefined } }],
  ['--admin 0.0.0.0:9000 3001', { admin: { listen: { host: '0.0.0.0', port: 9000 }, token: undefined } }],
  ['--admin [::1]:9000 3001', { admin: { listen: { host: '::1', port: 9000 }, token: undefined } }],
  ['--log text --log json 3001', { log: 'json' }],
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
  ['--max-head-bytes 1000 --max-fields 10 3001', { limits: { maxHeadBytes: 1000, maxFields: 10 } }],
  ['--lenient-responses 3001', { limits: { lenientResponses: true } }],
  [
    '--dns-server 10.0.0.2,[::1]:53 --dns-server 10.0.0.3 --dns-interval 5s dns:a:1',
    { backends: [{ dns: 'a', port: 1 }], dns: { servers: ['10.0.0.2', '[::1]:53', '10.0.0.3'], interval: 5000 } },
  ],
]

test.each(RIGHT)('badass %s: is what it says', async (line, changed) => {
  expect(await read(...line.split(' '))).toEqual({ ...DEFAULTS, ...changed })
})

describe('files', () => {
  test('each line of the secret file is a secret, in order and without the blanks around', async () => {
    const file = join(temporaryDirectory(), 'secret')
    writeFileSync(file, '\ufeffnew \r\n\n  old\n')
    expect((await read('--sticky', '--secret-file', file, '3001')).secret).toEqual(['new', 'old'])
  })

  test('the files are read anew with each load', async () => {
    const file = join(temporaryDirectory(), 'secret')
    writeFileSync(file, 'one')
    const request = readArguments(['--sticky', '--secret-file', file, '3001'])
    if (request.kind !== 'run') throw new Error('takes a run')
    expect((await request.load()).secret).toEqual(['one'])
    writeFileSync(file, 'two')
    expect((await request.load()).secret).toEqual(['two'])
  })

  test('the token file has one line of visible ASCII', async () => {
    const file = join(temporaryDirectory(), 'token')
    const options = ['--admin', '9000', '--admin-token-file', file, '3001']
    writeFileSync(file, 'abc\n')
    expect((await read(...options)).admin?.token).toBe('abc')
    writeFileSync(file, 'abc\ndef')
    expect(await refusal(...options)).toBe(`--admin-token-file: got 2 lines in '${file}'; takes one`)
    writeFileSync(file, 'a b')
    expect(await refusal(...options)).toBe(
      `--admin-token-file: got other characters in '${file}'; takes visible ASCII without spaces`,
    )
  })
})

describe('help', () => {
  test.each([['--help'], ['-h'], ['3001 --help'], ['--bogus --help']])('%s prints it', (line) => {
    expect(readArguments(line.split(' '))).toEqual({ kind: 'print', text: HELP })
  })

  test.each([['--version'], ['-V'], ['3001 -V']])('%s prints the version', (line) => {
    expect(readArguments(line.split(' '))).toEqual({
      kind: 'print',
      text: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
    })
  })

  test('fits on one screen', () => {
    const lines = HELP.trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(40)
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  test('names every option that there is, and no other', () => {
    const command = createCommand()
    const known = [...command.options.flatMap(({ short, long }) => [short, long]), '-h', '--help'].filter(Boolean)
    const named = HELP.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g)
    expect([...new Set(named)].sort()).toEqual([...new Set(known)].sort())
  })

  test('shows the defaults that the engine has', () => {
    const shown = (option: string) => new RegExp(`${option} \\w+ \\[(\\w+)\\]`).exec(HELP)?.[1]
    expect(shown('--head-timeout')).toBe(`${(OPTION_RULES.headTimeout.byDefault as number) / 1000}s`)
    expect(shown('--connect-timeout')).toBe(`${(OPTION_RULES.connectTimeout.byDefault as number) / 1000}s`)
    expect(shown('--half-close-timeout')).toBe(`${(OPTION_RULES.halfCloseTimeout.byDefault as number) / 60_000}m`)
    expect(shown('--idle-timeout')).toBe(String(OPTION_RULES.idleTimeout.byDefault))
    expect(shown('--response-head-timeout')).toBe(String(OPTION_RULES.responseHeadTimeout.byDefault))
    expect(shown('--max-head-bytes')).toBe(String(OPTION_RULES.maxHeadBytes.byDefault))
    expect(shown('--max-fields')).toBe(String(OPTION_RULES.maxFields.byDefault))
  })

  test('shows examples that are right', async () => {
    const examples = HELP.split('Examples\n')[1]!.trimEnd().split('\n')
    expect(examples.length).toBeGreaterThan(1)
    for (const example of examples) {
      const [name, ...argv] = example.trim().split(' ')
      expect(name).toBe('badass')
      expect((await read(...argv)).backends.length).toBeGreaterThan(0)
    }
  })
})
