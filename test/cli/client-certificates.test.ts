import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { Authority } from '../helpers/authority.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate, saveCertificate } from '../helpers/tls.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

const run = promisify(execFile)
const ca = new Authority('clients')
const alice = ca.issue('alice')
const ALICE = `:${new X509Certificate(alice.cert).raw.toString('base64')}:`

interface Files {
  ca: string
  cert: string
  key: string
}

function settingsOf(files: Files, backend: { port: number }, more: object): object {
  const own = saveCertificate(certificate())
  return { listen: '127.0.0.1:0', tls: own, tlsClientCa: files.ca, backends: `127.0.0.1:${backend.port}`, ...more }
}

function save(): Files {
  const files = { ca: join(temporaryDirectory(), 'ca.pem'), ...saveCertificate(alice) }
  writeFileSync(files.ca, ca.cert)
  return files
}

/** What the backend sees as Client-Cert of a request by curl. */
async function askWith(port: number, ...args: string[]): Promise<unknown> {
  const { stdout } = await run('curl', ['-sSk', '--max-time', '20', ...args, `https://127.0.0.1:${port}/`])
  return JSON.parse(stdout).headers['client-cert']
}

test.each([1, 2])('checks the certificates of curl and openssl; workers: %i', async (workers) => {
  const files = save()
  const file = join(temporaryDirectory(), 'badass.json')
  const backend = await startBackend()
  const write = (more: object) => writeFileSync(file, JSON.stringify(settingsOf(files, backend, { workers, ...more })))
  write({})
  const command = Command.start('--config', file)
  const port = await command.port()
  const own = ['--cert', files.cert, '--key', files.key]
  const forged = ['-H', 'Client-Cert: :forged:', '-H', 'Client_Cert: :forged:']
  for (let i = 0; i < 2 * workers; i++) expect(await askWith(port, ...own, ...forged)).toBe(ALICE)
  await expect(askWith(port)).rejects.toThrow()
  await command.said('the client sent no certificate')
  // -reconnect tries to resume the session five times. The workers share their ticket keys.
  const line = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-tls1_2',
    '-reconnect',
    '-cert',
    files.cert,
    '-key',
    files.key,
  ]
  const client = run('openssl', line)
  client.child.stdin!.end()
  const { stdout } = await client
  expect(stdout.match(/^New, /gm)).toHaveLength(6)
  expect(stdout).not.toMatch(/^Reused, /m)
  write({ tlsClientVerify: 'optional' })
  command.signal('SIGHUP')
  await command.said('listening on https:', 2)
  expect(await askWith(port, ...own)).toBe(ALICE)
  expect(await askWith(port, ...forged)).toBe(undefined)
})

test('--check reads the CA and says whose certificates are asked for', async () => {
  const files = save()
  const own = saveCertificate(certificate())
  const line = ['--check', '--tls-cert', own.cert, '--tls-key', own.key, '--tls-client-ca']
  const command = Command.start(...line, files.ca, '3001')
  expect(await command.exited).toBe(0)
  expect(command.stdout).toMatch(/^client certificates: required, of CN=clients until .*\nbackends/m)
  const mistaken = Command.start(...line, '/nowhere/ca.pem', '3001')
  expect(await mistaken.exited).toBe(2)
  expect(mistaken.stderr).toBe("badass: tlsClientCa: cannot read '/nowhere/ca.pem': no such file\n")
})
