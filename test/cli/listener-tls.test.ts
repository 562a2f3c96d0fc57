import { writeFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../helpers/net.ts'
import { bindSocket } from '../helpers/passed-socket.ts'
import { GET } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate, connectTls, saveCertificate } from '../helpers/tls.ts'
import { Command } from './command.ts'
import { type Got, get, portOf, startBackend } from './service/support.ts'

const LOOPBACK = '127.0.0.1:0'

function certificateOptions(): string[] {
  const files = saveCertificate(certificate())
  return ['--tls-cert', files.cert, '--tls-key', files.key]
}

/** The ports of the addresses that the command has said so far, the newest last. */
function portsOf({ stderr }: Command): number[] {
  return [...stderr.matchAll(/listening on (http\S+)\n/g)].map(([, url]) => portOf(url))
}

const getTls = (to: object): Promise<Got> =>
  get({ host: '127.0.0.1', ca: certificate().cert, ...to } as object, {}, https.request)

async function answerTo(port: number): Promise<string> {
  const client = await connect(port)
  client.end(GET)
  return client.ended()
}

test.each([1, 2])('serves HTTP and HTTPS on the addresses marked so; workers: %i', async (workers) => {
  const directory = temporaryDirectory()
  const [plain, secure] = [join(directory, 'plain'), join(directory, 'secure')]
  const command = Command.start(
    ...['--listen', LOOPBACK, '--listen', `${LOOPBACK},tls`, '--listen', `unix:${plain}`],
    ...['--listen', `unix:${secure},mode=600,tls`, ...certificateOptions(), '--forwarded', '--trust', 'unix'],
    ...['--workers', String(workers), String((await startBackend()).port)],
  )
  await command.said(`listening on unix:${secure}\n`)
  expect(command.stderr).toMatch(/listening on http:\S+\nbadass: listening on https:\S+\nbadass: listening on unix:/)
  const [http, tls] = portsOf(command) as [number, number]
  expect((await get(http)).headers['x-forwarded-proto']).toBe('http')
  expect((await getTls({ port: tls })).headers['x-forwarded-proto']).toBe('https')
  expect((await get({ socketPath: plain })).headers['x-forwarded-proto']).toBe('http')
  expect((await getTls({ socketPath: secure })).headers['x-forwarded-proto']).toBe('https')
  // A client cannot choose: what the address speaks counts.
  expect(await answerTo(tls)).toMatch(/^HTTP\/1\.1 400 .*speaks TLS/s)
  await expect(connectTls(http)).rejects.toThrow()
})

test.each([1, 2])('a reload turns TLS on and off at an address that stays; workers: %i', async (workers) => {
  const directory = temporaryDirectory()
  const file = join(directory, 'badass.json')
  const backend = `127.0.0.1:${(await startBackend()).port}`
  const [, cert, , key] = certificateOptions()
  const write = (marked: readonly boolean[]) => {
    const listen = marked.map((tls, i) => ({ path: join(directory, String(i)), tls }))
    writeFileSync(file, JSON.stringify({ workers, listen, tls: [{ cert, key }], backends: [backend] }))
  }
  write([false, true])
  const command = Command.start('--config', file)
  const [first, second] = ['0', '1'].map((name) => ({ socketPath: join(directory, name) })) as [object, object]
  await command.said(`listening on unix:${join(directory, '1')}\n`)
  expect((await get(first)).id).toBe('a')
  expect((await getTls(second)).id).toBe('a')
  write([true, false])
  command.signal('SIGHUP')
  await command.said(`listening on unix:${join(directory, '1')}\n`, 2)
  expect((await getTls(first)).id).toBe('a')
  expect((await get(second)).id).toBe('a')
})

test.each([1, 2])('a passed socket may speak TLS; workers: %i', async (workers) => {
  const [web, secure] = [bindSocket(), bindSocket()]
  const command = Command.startAt(
    { web: web.fd, secure: secure.fd },
    ...['--listen', 'fd:web', '--listen', 'fd:secure,tls', ...certificateOptions(), '--workers', String(workers)],
    String((await startBackend()).port),
  )
  await command.said('listening on fd:secure\n')
  expect((await get(web.port)).id).toBe('a')
  expect((await getTls({ port: secure.port })).id).toBe('a')
  expect(await answerTo(secure.port)).toMatch(/^HTTP\/1\.1 400 /)
})

test('answers a client beyond --max-connections as its address speaks', async () => {
  const command = Command.start(
    ...['--listen', LOOPBACK, '--listen', `${LOOPBACK},tls`, ...certificateOptions(), '--max-connections', '1', '1'],
  )
  await command.said('listening on https:')
  const [http, tls] = portsOf(command) as [number, number]
  await connect(http)
  expect(await answerTo(http)).toMatch(/^HTTP\/1\.1 503 /)
  const client = await connectTls(tls)
  client.write(GET)
  expect(await client.ended()).toMatch(/^HTTP\/1\.1 503 /)
})
