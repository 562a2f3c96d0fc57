import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'
import { Command } from './command.ts'

function file(name: string, text: string): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, text)
  return path
}

test('--check says what would run and exits with 0, without a connection and without secrets', async () => {
  const backend = await Backend.start()
  let connections = 0
  backend.server.on('connection', () => connections++)
  const { cert, key } = certificate()
  const config = file(
    'badass.mjs',
    `setInterval(() => undefined, 1000)
    export default {
      listen: ['8443', 'unix:/nowhere/x.sock'],
      backends: ['127.0.0.1:${backend.port},id=blue', 'dns:app.internal:3000'],
      health: 'tcp',
      sticky: true,
      secretFile: ${JSON.stringify(file('secrets', 'one-secret\nanother-secret\n'))},
      tls: [{ cert: ${JSON.stringify(String(cert))}, key: ${JSON.stringify(file('key.pem', String(key)))} }],
      admin: 9000,
      adminTokenFile: ${JSON.stringify(file('token', 'the-token\n'))},
      workers: 2,
    }
    export function modify() {}`,
  )
  const command = Command.start('--check', '--config', config)
  expect(await command.exited).toBe(0)
  expect(command.stderr).toBe('')
  expect(command.stdout).toMatch(
    /^listen: \*:8443 \(TLS\), unix:\/nowhere\/x\.sock \(TLS\)\ncertificates: localhost.* until \w+ .* GMT\n/,
  )
  expect(command.stdout.split('\n').slice(2)).toEqual([
    'backends: blue, dns:app.internal:3000',
    'requests: every',
    'workers: 2',
    'sticky: cookie sticky, with 2 secrets',
    'hooks: modify',
    'admin: 127.0.0.1:9000',
    '',
  ])
  expect(connections).toBe(0)
})

const NO_FILE = '/nowhere/x'
const MISTAKES: [what: string, args: () => string[], line: string][] = [
  ['an option', () => ['--grace', 'x'], "--grace: expected a time such as 500ms, 30s or 5m, got 'x'"],
  [
    'a secret',
    () => ['--sticky', '--secret-file', NO_FILE],
    `--secret-file: cannot read '${NO_FILE}': no such file or directory`,
  ],
  ['a certificate', () => ['--tls-cert', NO_FILE, '--tls-key', NO_FILE], `tls: cannot read '${NO_FILE}': no such file`],
  ['a value', () => ['--check=yes'], "--check: expected no value, got 'yes'"],
]

test.each(MISTAKES)('--check exits with 2 and one line about %s', async (_, args, line) => {
  const command = Command.start('--check', ...args(), '3001')
  expect(await command.exited).toBe(2)
  expect(command.stderr).toBe(`badass: ${line}\n`)
  expect(command.stdout).toBe('')
})

test('--check names the backends of each pool', async () => {
  const command = Command.start('--check', '--route', 'a.example=1,2', '--route', '/x=3', '4')
  expect(await command.exited).toBe(0)
  expect(command.stdout).toContain(
    'backends: localhost:4\npool a.example: localhost:1, localhost:2\npool x: localhost:3\nroutes: 3\n',
  )
})

test('--check exits with 2 if a certificate for a backend cannot be used', async () => {
  const config = file('badass.json', '{ "backends": [{ "port": 3001, "tls": { "ca": "ca.pem" } }] }')
  const command = Command.start('--check', '--config', config)
  expect(await command.exited).toBe(2)
  expect(command.stderr).toMatch(/^badass: backends\[0\]\.tls\.ca: cannot read '.*ca\.pem': no such file\n$/)
})

test('--check exits with 2 if the top-level await of a module never settles', async () => {
  const command = Command.start('--check', '--config', file('badass.mjs', 'await new Promise(() => undefined)'))
  expect(await command.exited).toBe(2)
  expect(command.stderr).toBe("badass: --config: the module's top-level await never settled\n")
})

test('--check says what TLS clients are offered', async () => {
  const { cert, key } = certificate()
  const tls = ['--tls-cert', file('cert.pem', String(cert)), '--tls-key', file('key.pem', String(key))]
  const command = Command.start('--check', '--alpn', 'h2,http/1.1', ...tls, '3001,protocol=both')
  expect(await command.exited).toBe(0)
  expect(command.stdout).toContain('\nalpn: h2, http/1.1\n')
})
