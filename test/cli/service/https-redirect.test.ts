import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Forwarded } from '../../../src/cli/service/forwarded.ts'
import { HttpsRedirect } from '../../../src/cli/service/https-redirect.ts'
import { parseHead } from '../../../src/index.ts'
import { clientAt } from '../../balancer/support.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { run } from '../../helpers/run.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'
import { Command } from '../command.ts'
import { get, type Started, startBackend, startService } from './support.ts'

expectNoWarnings()

const PEER = '1.2.3.4'

/** Status and Location for a request from PEER. Undefined if it is not redirected. */
function answerTo(lines: readonly string[], { trust = [] as string[], port = 443, encrypted = false } = {}) {
  const head = parseHead(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), 'request')
  const client = { ...clientAt(PEER), encrypted }
  const redirect = new HttpsRedirect(port, new Forwarded(trust))
  if (!redirect.covers(head, client)) return undefined
  const response = redirect.answer(head, client)
  return [response?.status, response?.headers.get('location')]
}

const asking = (target: string, host = 'Host: a.test', ...more: string[]) => [`GET ${target} HTTP/1.1`, host, ...more]

test.each([
  [asking('/'), 'https://a.test/'],
  [asking('/a?b=c&d'), 'https://a.test/a?b=c&d'],
  [asking('/', 'Host: A.test:8080'), 'https://a.test/'],
  [asking('/', 'Host: a.test:'), 'https://a.test/'],
  [asking('/', 'Host: a.test.'), 'https://a.test/'],
  [asking('/', 'Host: 127.0.0.1:80'), 'https://127.0.0.1/'],
  [asking('/', 'Host: [::1]:80'), 'https://[::1]/'],
  [asking('http://b.test/x'), 'https://b.test/x'],
  [asking('http://b.test?x'), 'https://b.test/?x'],
  [asking('https://b.test/x'), 'https://b.test/x'],
  [asking('//evil.test/'), 'https://a.test//evil.test/'],
  [asking('/\\evil.test'), 'https://a.test/\\evil.test'],
  [asking('/@evil.test'), 'https://a.test/@evil.test'],
  [['POST /x HTTP/1.1', 'Host: a.test'], 'https://a.test/x'],
  [['OPTIONS * HTTP/1.1', 'Host: a.test'], 'https://a.test/'],
  [['CONNECT b.test:443 HTTP/1.1', 'Host: a.test'], 'https://a.test/'],
  // Only the challenge itself is left alone.
  [asking('/.well-known/acme-challenge/'), 'https://a.test/.well-known/acme-challenge/'],
  [asking('/.well-known/acme-challenge/a/b'), 'https://a.test/.well-known/acme-challenge/a/b'],
  [asking('/.well-known/acme-challenge/..'), 'https://a.test/.well-known/acme-challenge/..'],
  [asking('/.well-known/acme-challenge/%2e%2e'), 'https://a.test/.well-known/acme-challenge/%2e%2e'],
  [asking('/.well-known/acme-challenge/a?b'), 'https://a.test/.well-known/acme-challenge/a?b'],
  [asking('/x/.well-known/acme-challenge/a'), 'https://a.test/x/.well-known/acme-challenge/a'],
  [
    asking('/.well-known/acme-challenge/a', 'Host: a.test', 'Connection: Upgrade', 'Upgrade: websocket'),
    'https://a.test/.well-known/acme-challenge/a',
  ],
  [['POST /.well-known/acme-challenge/a HTTP/1.1', 'Host: a.test'], 'https://a.test/.well-known/acme-challenge/a'],
])('redirects %j', (lines, location) => {
  expect(answerTo(lines)).toEqual([308, location])
  expect(answerTo(lines, { port: 8443 })).toEqual([308, location.replace(/^https:\/\/[^/]*/, '$&:8443')])
  expect(answerTo(lines, { encrypted: true })).toBeUndefined()
})

test.each([
  ['', ['GET / HTTP/1.0']],
  ['an empty', asking('/', 'Host:')],
  ['an encoded', asking('/', 'Host: a%2etest')],
  ['a reg-name with user', asking('/', "Host: a!$&'()*+,;=~")],
  ['a leading dot', asking('/', 'Host: .test')],
  ['a dash at its start', asking('/', 'Host: -a')],
])('answers 400 to a request without a host that can be named: %s', (_, lines) => {
  expect(answerTo(lines)).toEqual([400, null])
})

test('leads to the host that was named, whatever a client sends', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab1.:/\\@?#[]%20-_;,=&!\t "<>\u00e9'), maxLength: 20 })
  let redirects = 0
  fc.assert(
    fc.property(text, text, fc.boolean(), (host, target, isTrusted) => {
      const name = isTrusted ? [`X-Forwarded-Host: ${host}`, 'Host: a.test'] : [`Host: ${host}`]
      let answer: ReturnType<typeof answerTo>
      try {
        answer = answerTo([`GET /${target} HTTP/1.1`, ...name], { trust: isTrusted ? [PEER] : [] })
      } catch {
        return // The parser refuses it.
      }
      const [status, location] = answer!
      if (status === 400) {
        expect(location).toBeNull()
        return
      }
      redirects++
      expect(location).toMatch(/^https:\/\/[^\s]+$/)
      const url = new URL(location as string)
      const entry = isTrusted ? host.split(',').at(-1)!.trim() || 'a.test' : host.trim()
      const named = new URL(`http://${entry.replace(/\.?(?::\d*)?$/, '')}`)
      expect([url.protocol, url.host, url.username]).toEqual(['https:', named.host, ''])
    }),
    { numRuns: 2_000 },
  )
  expect(redirects).toBeGreaterThan(10)
})

test('leaves a challenge of ACME alone', () => {
  for (const method of ['GET', 'HEAD']) {
    expect(answerTo([`${method} /.well-known/acme-challenge/tO-k_3n HTTP/1.1`, 'Host: a.test'])).toBeUndefined()
  }
})

const FOR = 'X-Forwarded-For'
const PROTO = 'X-Forwarded-Proto'

test.each([
  [[`${PROTO}: https`], true],
  [[`${PROTO}: HTTPS`], true],
  [[`${PROTO}: wss`], true],
  [[`${PROTO}: http`], false],
  [[`${PROTO}:`], false],
  [[`${PROTO}: httpss`], false],
  [[], false],
  // The client's own entry counts: what is left of it may come from the client.
  [[`${FOR}: 9.9.9.9`, `${PROTO}: https, http`], false],
  [[`${FOR}: 9.9.9.9`, `${PROTO}: https`, `${PROTO}: http`], false],
  [[`${FOR}: 8.8.8.8, 9.9.9.9`, `${PROTO}: https, http`], false],
  [[`${FOR}: 9.9.9.9, 10.0.0.1`, `${PROTO}: https, http`], true],
  [[`${FOR}: 8.8.8.8, 9.9.9.9, 10.0.0.1`, `${PROTO}: https, http, https`], false],
  [[`${FOR}: 9.9.9.9, 10.0.0.1`, `${PROTO}: https`], true],
])('with a trusted peer, %j counts as HTTPS: %s', (fields, isHttps) => {
  const lines = asking('/', 'Host: a.test', ...fields)
  expect(answerTo(lines, { trust: [PEER, '10.0.0.0/8'] })).toEqual(isHttps ? undefined : [308, 'https://a.test/'])
  expect(answerTo(lines, { trust: ['5.6.7.8'] })).toEqual([308, 'https://a.test/'])
})

test('X-Forwarded-Host counts if the peer is trusted', () => {
  const lines = asking('/', 'Host: inner:80', 'X-Forwarded-Host: a.test:8080')
  expect(answerTo(lines, { trust: [PEER] })).toEqual([308, 'https://a.test/'])
  expect(answerTo(lines)).toEqual([308, 'https://inner/'])
  for (const name of ['a.test/x', 'a.test@evil.test', 'a.test\\', 'a.test#', ' ', 'a b']) {
    const odd = answerTo(asking('/', 'Host: inner', `X-Forwarded-Host: ${name}`), { trust: [PEER] })
    expect(odd).toEqual(name === ' ' ? [308, 'https://inner/'] : [400, null])
  }
})

async function redirecting(given = {}): Promise<Started & { backend: Backend }> {
  const backend = await Backend.start()
  const backends = [{ port: backend.port }]
  return { backend, ...(await startService({ backends, redirectHttps: 443, requests: 'every', ...given })) }
}

test.each([{}, { routing: { pools: [], routes: [{ pool: 'default' }], unsafePaths: false } }])(
  'answers every request of a connection, whatever the client says: %j',
  async (given) => {
    const { port, backend, logged } = await redirecting({ ...given, trust: ['10.0.0.0/8'], log: 'text' })
    const client = await connect(port)
    const first = 'GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a.test\r\n\r\n'
    client.write(first)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await client.until('ok')
    // Neither a later request nor one behind a body gets to the backend.
    client.write('POST /a HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\nContent-Length: 5\r\n\r\n12345')
    client.write('GET /b HTTP/1.1\r\nHost: a.test\r\nForwarded: proto=https\r\nConnection: close\r\n\r\n')
    const text = await client.ended()
    expect(text.match(/HTTP\/1.1 \d+|location: .*(?=\r)/gi)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 308',
      'location: https://a.test/a',
      'HTTP/1.1 308',
      'location: https://a.test/b',
    ])
    expect(peer.text).toBe(first)
    expect(await logged.until('GET /b')).toContain(' 308 ')
  },
)

test('calls no hook for a redirected request', async () => {
  let calls = 0
  const hooks = { lookup: () => void calls++, modify: () => void calls++ }
  const { port } = await redirecting({ hooks })
  const client = await connect(port)
  client.end('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  expect(await client.ended()).toMatch(/^HTTP\/1.1 308 /)
  expect(calls).toBe(0)
})

test.each(['refuse', 'pass'] as const)('does not let HTTP/2 pass: --http2 %s', async (http2) => {
  const { port } = await redirecting({ http2 })
  const client = await connect(port)
  client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const answer = await client.ended().catch(() => 'reset')
  expect(answer).toMatch(http2 === 'pass' ? /^reset$/ : /^HTTP\/1.1 505 /)
})

test('challenges go to their route', async () => {
  const [app, acme] = [await startBackend('app'), await startBackend('acme')]
  const command = Command.start(
    ...['--listen', '127.0.0.1:0', '--redirect-https=443', '--route', `/.well-known/acme-challenge=${acme.port}`],
    String(app.port),
  )
  const ask = async (path: string) => get({ port: await command.port(), host: '127.0.0.1', path })
  expect(await ask('/.well-known/acme-challenge/abc')).toMatchObject({ status: 200, id: 'acme' })
  expect(await ask('/.well-known/acme-challenge')).toMatchObject({ status: 308 })
  expect(await ask('/abc')).toMatchObject({ status: 308 })
})

test.each([1, 2])('curl follows the redirect of the command; workers: %i', async (workers) => {
  const directory = temporaryDirectory()
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  writeFileSync(cert, certificate().cert)
  writeFileSync(key, certificate().key)
  const command = Command.start(
    ...['--listen', '127.0.0.1:0', '--listen', '127.0.0.1:0,tls', '--tls-cert', cert, '--tls-key', key],
    ...['--redirect-https', '--forwarded', '--workers', String(workers), String((await startBackend()).port)],
  )
  await command.said('listening on https:')
  const [, plain] = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(command.stderr)!
  const [, secure] = /listening on https:\/\/127\.0\.0\.1:(\d+)/.exec(command.stderr)!
  const { stdout, stderr, code } = await run('curl', [
    ...['-q', '-sS', '--noproxy', '*', '-L', '--cacert', cert, '--data', 'body', '-H', 'X-Forwarded-Proto: http'],
    ...['--connect-to', `localhost:443:127.0.0.1:${secure}`, `http://localhost:${plain}/a?b`],
  ])
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
  expect(JSON.parse(stdout.toString())).toMatchObject({
    url: '/a?b',
    headers: { 'x-forwarded-proto': 'https', host: 'localhost', 'content-length': '4' },
  })
})
