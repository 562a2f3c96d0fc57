import { writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ClientKeys } from '../../../src/cli/service/client-keys.ts'
import { ClientLimits } from '../../../src/cli/service/client-limits.ts'
import type { ClientInfo } from '../../../src/index.ts'
import { parseHead } from '../../../src/parser/index.ts'
import { connect, Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'
import { Command } from '../command.ts'
import { configOf, endWith, get, Lines, startBackend, startService } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const HOUR = 3_600_000
/** No token comes back during a test. */
const rateOf = (requests: number) => ({ requests, per: HOUR, burst: requests })
const SAID = (client: string) => `rate: ${client} is over its limit and gets a 429`

/** A backend that keeps its connections open. */
async function startKeeping(): Promise<{ id: string; port: number }> {
  const server = http.createServer((request, response) => void request.resume().on('end', () => response.end('served')))
  server.listen(0, host)
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  return { id: 'a', port: (server.address() as net.AddressInfo).port }
}

function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!)
}

test('Retry-After says when the next token comes', () => {
  let now = 50_000
  const said = new Lines()
  const limits = new ClientLimits(said.add, () => now)
  const config = configOf({ rate: { requests: 1, per: 3_000, burst: 2 } })
  limits.use(undefined, config)
  const keys = new ClientKeys(config)
  const head = parseHead(Buffer.from(GET), 'request')
  const client: ClientInfo = {
    transport: 'tcp',
    remoteAddress: '2001:db8::1',
    remotePort: 1,
    localPort: 2,
    encrypted: false,
  }
  const ask = (remoteAddress = client.remoteAddress) => {
    const refused = limits.refuse(keys, head, { ...client, remoteAddress })
    return refused && refused.answer!.headers.get('Retry-After')
  }
  expect([ask(), ask(), ask()]).toEqual([undefined, undefined, '3'])
  now += 1_500
  // All addresses of a /64 are one client.
  expect([ask('2001:db8::2'), ask('2001:db8:0:1::2')]).toEqual(['2', undefined])
  now += 1_499
  expect(ask()).toBe('1')
  now += 1
  expect([ask(), ask()]).toEqual([undefined, '3'])
  expect(limits.counters).toEqual({ limitedConnections: 0, limitedRequests: 4 })
  expect(said.all).toEqual([SAID('2001:db8::/64')])
  limits.use(undefined, configOf({ rate: { requests: 1, per: 1_000, burst: 2 } }))
  expect(ask()).toBe('1')
  limits.use(undefined, configOf({}))
  expect(ask()).toBe(undefined)
  limits.destroy()
})

test('each request of a connection takes a token, pipelined ones too', async () => {
  const started = await startService({
    backends: [await startKeeping()],
    rate: rateOf(3),
    requests: 'every',
    log: 'text',
  })
  const client = await connect(started.port)
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(4))
  await client.until('too many requests from this address\n')
  expect(statuses(client.text)).toEqual(['200', '200', '200', '429'])
  expect(client.text).toMatch(/retry-after: 1200\r\n/i)
  // The connection goes on, and so does the limit. A body is skipped.
  client.write('POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n')
  await started.logged.untilCount(6)
  expect(started.logged.all.filter((line) => / 429 - /.test(line)).length).toBe(3)
  expect(started.service.counters.limitedRequests).toBe(3)
  // Others are served, and a new connection helps nobody.
  expect(statuses(await endWith(started.port))).toEqual(['429'])
  const socket = net.connect({ port: started.port, host, localAddress: '127.0.0.2' })
  onTestFinished(() => void socket.destroy())
  const other = new Peer(socket)
  other.write(GET)
  expect(await other.until('served')).toMatch(/^HTTP\/1\.1 200 /)
})

test("with requests 'first', a connection takes a token", async () => {
  const started = await startService({ backends: [await startKeeping()], rate: rateOf(2), log: 'text' })
  const client = await connect(started.port)
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(4))
  while (statuses(client.text).length < 4) await new Promise((resolve) => client.socket.once('data', resolve))
  expect(statuses(client.text)).toEqual(['200', '200', '200', '200'])
  // An HTTP/2 connection is one request. Beyond the limit it is reset.
  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  await endWith(started.port, PREFACE).catch(() => undefined)
  await expect(endWith(started.port, PREFACE)).rejects.toThrow('ECONNRESET')
  expect(await endWith(started.port)).toMatch(/^HTTP\/1\.1 429 [\s\S]*Connection: close\r\n/)
  expect(await started.logged.until(' 429 ')).toContain('"GET / HTTP/1.1"')
})

test('behind trusted proxies and PROXY headers, the client itself is limited', async () => {
  const backends = [await startBackend()]
  const { port } = await startService({ backends, rate: rateOf(2), requests: 'every', trust: [host] })
  const ask = async (list?: string) => (await get(port, list ? { 'X-Forwarded-For': list } : {})).status
  for (const spoofed of ['1.1.1.1', '1.1.1.2']) expect(await ask(`${spoofed}, 192.0.2.1`)).toBe(200)
  expect(await ask('1.1.1.3, 192.0.2.1')).toBe(429)
  expect(await ask('1.1.1.3, ::ffff:192.0.2.1')).toBe(429)
  expect(await ask('192.0.2.2')).toBe(200)
  // A check of the proxy itself.
  for (let i = 0; i < 4; i++) expect(await ask()).toBe(200)

  const behind = await startService({ backends, rate: rateOf(2), requests: 'every', proxyProtocol: [host] })
  const answers: string[] = []
  for (const line of [
    LINE,
    LINE,
    LINE,
    LINE.replace('192.0.2.1', '192.0.2.2'),
    ...Array(3).fill('PROXY UNKNOWN\r\n'),
  ]) {
    answers.push(...statuses(await endWith(behind.port, line + GET)))
  }
  expect(answers).toEqual(['200', '200', '429', '200', '200', '200', '200'])
})

test('fields of an untrusted client change nothing, over TLS too', async () => {
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'c.pem'), key: join(directory, 'k.pem') }
  writeFileSync(files.cert, certificate().cert)
  writeFileSync(files.key, certificate().key)
  const { port } = await startService({
    backends: [await startBackend()],
    rate: rateOf(2),
    requests: 'every',
    trust: ['10.0.0.0/8'],
    tls: [files],
  })
  const answers: number[] = []
  for (let i = 0; i < 4; i++) {
    const options = { port, host, ca: certificate().cert } as object
    answers.push(
      (await get(options, { 'X-Forwarded-For': `10.0.0.${i}`, Forwarded: `for=1.1.1.${i}` }, https.request)).status,
    )
  }
  expect(answers).toEqual([200, 200, 429, 429])
})

test('a reload changes the rate at once, and forgets nobody', async () => {
  const given = { backends: [await startBackend()], requests: 'every' as const }
  const { port, service } = await startService({ ...given, rate: rateOf(2) })
  const listen = [{ port: 0, host }]
  const answers = async (count: number) => {
    const all: number[] = []
    for (let i = 0; i < count; i++) all.push((await get(port)).status)
    return all
  }
  expect(await answers(3)).toEqual([200, 200, 429])
  await service.reload(configOf({ ...given, listen, rate: rateOf(3) }))
  expect(await answers(2)).toEqual([200, 429])
  await service.reload(configOf({ ...given, listen, rate: rateOf(3), maxConnectionsPerClient: 9 }))
  expect(await answers(1)).toEqual([429])
  await service.reload(configOf({ ...given, listen }))
  expect(await answers(3)).toEqual([200, 200, 200])
})

test('--rate: workers share it, and the metrics count', async () => {
  const backend = await startBackend()
  const args = ['--workers', '2', '--rate', '4/h', '--admin', '127.0.0.1:0', '--log', 'json']
  const command = Command.start('--listen', '127.0.0.1:0', ...args, `127.0.0.1:${backend.port}`)
  const port = await command.port()
  await command.said('2 workers serve')
  expect(command.stderr).toContain('every request')
  const counts = new Map<number, number>()
  // Of 40 requests on connections of their own, each worker gets some.
  for (let i = 0; i < 40; i++) {
    const { status } = await get(port)
    counts.set(status, (counts.get(status) ?? 0) + 1)
  }
  expect(counts.get(200)).toBeLessThanOrEqual(4)
  expect(counts.get(200)! + counts.get(429)!).toBe(40)
  const [, admin] = /admin page on (\S+)#/.exec(command.stderr)!
  const metrics = await (await fetch(new URL('metrics', admin))).text()
  expect(metrics).toMatch(new RegExp(`^badass_requests_limited_total ${counts.get(429)}$`, 'm'))
  expect(await command.logged('"status":429')).toContain('"status":200')
  expect(command.stderr).toContain(`badass: ${SAID(host)}\n`)
})
