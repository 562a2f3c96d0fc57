import { renameSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import type tls from 'node:tls'
import { expect, test } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import type { Config } from '../../../src/cli/config/config.ts'
import { Service } from '../../../src/cli/service/service.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, makeCertificate } from '../../helpers/tls.ts'
import { Command } from '../command.ts'
import { configOf, get, startService } from './support.ts'

expectNoWarnings()

const other = makeCertificate()

/** A TLS backend that requires client certificates signed by `ca`. */
async function startSecure(ca: Buffer | Buffer[] = certificate().cert): Promise<number> {
  const options = { ...certificate(), ca, requestCert: true, rejectUnauthorized: true }
  return listen(https.createServer(options, (_, response) => response.end('{"id":"secure"}')))
}

/** A config file in a new directory with the PEM files of a certificate. */
async function load(tlsOptions: object, port: number): Promise<{ config: Config; directory: string; file: string }> {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'ca.pem'), certificate().cert)
  writeFileSync(join(directory, 'cert.pem'), certificate().cert)
  writeFileSync(join(directory, 'key.pem'), certificate().key)
  writeFileSync(join(directory, 'other.pem'), other.cert)
  const file = join(directory, 'badass.json')
  const backends = [{ port, host: '127.0.0.1', id: 'a', tls: { servername: 'localhost', ...tlsOptions } }]
  writeFileSync(file, JSON.stringify({ listen: '127.0.0.1:0', backends, health: { path: '/', interval: 20 } }))
  const request = readArguments(['--config', file])
  if (request.kind !== 'run') throw new Error('takes a config')
  return { config: await request.load(), directory, file }
}

const FILES = { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem' }
const PEMS = {
  ca: String(certificate().cert),
  cert: String(certificate().cert),
  key: String(certificate().key),
}

test.each([
  ['paths, relative to the config file', FILES],
  ['PEM text', PEMS],
])('accepts %s in the TLS options of a backend, for clients and checks', async (_, options) => {
  const { config } = await load(options, await startSecure())
  const { port, service } = await startService(config)
  expect((await get(port)).status).toBe(200)
  expect(service.pools.backends).toMatchObject([{ state: 'up', failures: 0 }])
})

test('says in a few words why a backend refused the handshake', async () => {
  const { config } = await load({ ca: 'ca.pem' }, await startSecure())
  const { said } = await startService(config)
  expect(await said.until('backend a is down')).toMatch(
    /^backend a is down: [a-z0-9/ ]*alert certificate required \(ERR_SSL_\w+_ALERT_CERTIFICATE_REQUIRED\)$/,
  )
})

test('workers read the files too', async () => {
  const { file } = await load(FILES, await startSecure())
  const command = Command.start('--config', file, '--workers', '2')
  expect((await get(await command.port())).status).toBe(200)
})

test.each([
  [{ ca: 'nowhere.pem' }, /^backends\[0\]\.tls\.ca: cannot read '\S+\/nowhere\.pem': no such file$/],
  [{ ca: 'badass.json' }, /^backends\[0\]\.tls\.ca: expected certificates in PEM, got '\S+\/badass\.json' \(.+\)$/],
  [{ cert: 'cert.pem' }, /^backends\[0\]\.tls\.key: expected the key that belongs to the cert, got none$/],
  [{ cert: 'key.pem', key: 'key.pem' }, /^backends\[0\]\.tls\.cert: expected a certificate in PEM, got '\S+' \(.+\)$/],
  [
    { cert: 'cert.pem', key: 'cert.pem' },
    /^backends\[0\]\.tls\.key: expected a private key in PEM, without a passphrase, got '\S+' .+$/,
  ],
  [{ cert: 'other.pem', key: 'key.pem' }, /^backends\[0\]\.tls\.key: expected the certificate's own key, got '\S+'$/],
  [{ ca: '-----BEGIN x' }, /^backends\[0\]\.tls\.ca: expected certificates in PEM, got something else \(.+\)$/],
])('reports an error in %j in one line, at the start and at a reload', async (options, line) => {
  const { config } = await load(options, 1)
  const io = { say: () => undefined, log: () => undefined }
  const started = await Service.start(config, io).catch((error: Error) => error)
  expect((started as Error).message).toMatch(line)
  const { service } = await startService({})
  const reloaded = await service.reload({ ...configOf({}), backends: config.backends }).catch((error: Error) => error)
  expect((reloaded as Error).message).toMatch(line)
})

test('names the option of a pool or a route with a bad file', async () => {
  const backends = [1, { port: 2, tls: { ca: 'nowhere.pem' } }]
  for (const [settings, place] of [
    [{ routes: [{ redirect: '/' }, { path: '/x', backends }] }, 'routes[1].backends[1].tls.ca'],
    [{ routes: [{ pool: 'a' }], pools: { a: { backends } } }, 'pools.a.backends[1].tls.ca'],
  ] as const) {
    const file = join(temporaryDirectory(), 'badass.json')
    writeFileSync(file, JSON.stringify(settings))
    const command = Command.start('--check', '--config', file)
    expect(await command.exited).toBe(2)
    expect(command.stderr).toMatch(
      new RegExp(`^badass: ${place.replaceAll(/[[\].]/g, '\\$&')}: cannot read '.*nowhere.pem'`),
    )
  }
})

test('reads changed files again for checks and clients, and keeps the backend', async () => {
  const { config, directory } = await load(FILES, await startSecure(other.cert))
  const { port, service, said } = await startService(config)
  await said.until('backend a is down')
  // A certificate without its new key is not used.
  const put = (name: string, text: Buffer) => {
    writeFileSync(join(directory, 'new'), text)
    renameSync(join(directory, 'new'), join(directory, name))
  }
  put('cert.pem', other.cert)
  await said.until('certificates for backends changed, but cannot be used; keeping the old ones: backends[0].tls.key: ')
  put('key.pem', other.key)
  await said.until('certificates for backends changed; using the new ones')
  await said.until('backend a is up')
  expect((await get(port)).status).toBe(200)
  expect(said.all.filter((line) => /was added|was removed/.test(line))).toEqual([])
  expect((service.pools.backends[0] as { tls?: tls.ConnectionOptions }).tls).toBeUndefined()
})
