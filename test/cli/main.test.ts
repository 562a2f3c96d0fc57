import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { deadPort, listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'
import { Command } from './command.ts'
import { endWith, get, startBackend } from './service/support.ts'

const LISTEN = ['--listen', '127.0.0.1:0']

test('prints its address and the address of its admin page with the generated token', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const { port } = await startBackend()
  const command = Command.start(
    ...LISTEN,
    '--listen',
    `unix:${path}`,
    '--admin',
    '127.0.0.1:0',
    '--log',
    'text',
    String(port),
  )
  await command.said('#token=')
  expect(command.stderr).toMatch(
    new RegExp(
      '^badass: reading only the first request of each connection \\(--requests first\\)\n' +
        'badass: listening on http://127\\.0\\.0\\.1:\\d+/\n' +
        `badass: listening on unix:${path}\n` +
        'badass: admin page on http://127\\.0\\.0\\.1:\\d+/#token=[\\w-]{24}\n$',
    ),
  )
  const [, admin = '', token = ''] = /(http:\S+)#token=(\S+)/.exec(command.stderr)!
  const drained = await fetch(`${admin}api/backends/localhost%3A${port}/drain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
  expect(drained.status).toBe(200)
  await command.said(`badass: admin: 127.0.0.1 drained backend localhost:${port}: it gets no new clients\n`)
  expect(await endWith(await command.port())).toMatch(/^HTTP\/1.1 503 /)
  await command.logged('NO_DESTINATION\n')
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stdout).toMatch(
    /^\S+Z 127\.0\.0\.1:\d+ "GET \/ HTTP\/1\.1" 503 - - \S+ms 27\/\d+ \+0 - NO_DESTINATION\n$/,
  )
  expect(command.stdout).not.toContain(token)
  expect(existsSync(path)).toBe(false)
})

test('does not print a token from a file', async () => {
  const file = join(temporaryDirectory(), 'token')
  writeFileSync(file, 'secret-of-mine\n')
  const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--admin-token-file', file, '3001')
  expect(await command.said('admin page on')).toMatch(/\nbadass: admin page on http:\/\/127\.0\.0\.1:\d+\/\n$/)
  expect(command.stderr).not.toContain('secret')
})

test('warns about a sticky cookie that reveals an address', async () => {
  const secret = join(temporaryDirectory(), 'secret')
  writeFileSync(secret, 'a secret\n')
  const linesWith = async (...args: string[]) => {
    const command = Command.start(...LISTEN, ...args)
    return (await command.said('listening on')).split('\n').filter((line) => line.includes('--secret-file'))
  }
  expect(await linesWith('--sticky', '3001,id=a', '3002')).toEqual([
    'badass: without --secret-file, the address of a backend can be guessed from its sticky cookie',
  ])
  expect(await linesWith('--sticky', '3001,id=a')).toEqual([])
  expect(await linesWith('3001')).toEqual([])
  expect(await linesWith('--sticky', '--secret-file', secret, '3001')).toEqual([])
})

test('reports backends that go down and come up', async () => {
  const port = await deadPort()
  const command = Command.start(...LISTEN, `${port},id=x`)
  expect(await endWith(await command.port())).toMatch(/^HTTP\/1.1 503 /)
  await command.said(
    `badass: backend x is down: connect ECONNREFUSED 127.0.0.1:${port}; connect ECONNREFUSED ::1:${port}\n`,
  )
})

test.each([
  [['--bogus', '3001'], /^badass: --bogus: unknown option \(see badass --help\)\n$/],
  [['--workers', '0', '3001'], /^badass: --workers: expected auto or an integer from 1 to 256, got '0'\n$/],
  [[], /^badass: TARGET: expected one or more, such as 3001 or host:3001, got none \(see badass --help\)\n$/],
  [
    ['--tls-cert', '/nowhere/c', '--tls-key', '/nowhere/k', '3001'],
    /^badass: tls: cannot read '\/nowhere\/[ck]': no such file\n$/,
  ],
])('reports %j in one line, with exit code 2', async (args, line) => {
  const command = Command.start(...args)
  expect(await command.exited).toBe(2)
  expect(command.stderr).toMatch(line)
  expect(command.stdout).toBe('')
})

test('reports too few file descriptors at the start in one line, if Node opens all files at once', async () => {
  const command = `ulimit -n 28 && exec "${process.execPath}" dist/cli/main.js --listen 127.0.0.1:0 3001`
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = await once(child.stderr, 'data')
  expect(String(said)).toMatch(
    /^badass: (?:cannot start: out of file descriptors \(EMFILE\); raise the limit, for example with ulimit -n 1024\n$|reading )/,
  )
})

test('exits with 1 and one line if the address is in use', async () => {
  const port = await listen(net.createServer())
  const command = Command.start('--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0', '--health', 'tcp', '3001')
  expect(await command.exited).toBe(1)
  expect(command.stderr).toContain(`badass: cannot listen on 127.0.0.1:${port}: the address is in use\n`)
  expect(command.stderr).not.toContain('still alive')
})

test('prints --help and --version to stdout, with exit code 0', async () => {
  const [help, version] = [Command.start('--help'), Command.start('--version')]
  expect(await help.exited).toBe(0)
  expect(help.stdout).toMatch(/^Usage: badass /)
  expect(await version.exited).toBe(0)
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(help.stderr + version.stderr).toBe('')
})

test('keeps serving after the reader of the access log leaves', async () => {
  const { port: backend } = await startBackend()
  const command = Command.start(...LISTEN, '--log', 'text', String(backend))
  const port = await command.port()
  await get(port)
  await command.logged(' ok\n')
  command.closeStdout()
  for (let i = 0; i < 3; i++) expect((await get(port)).status).toBe(200)
  await command.said('badass: the access log cannot be written: write EPIPE\n')
  expect((await get(port)).status).toBe(200)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
})

test('serves over TLS', async () => {
  const directory = temporaryDirectory()
  const [cert, key] = [join(directory, 'c.pem'), join(directory, 'k.pem')]
  writeFileSync(cert, certificate().cert)
  writeFileSync(key, certificate().key)
  const command = Command.start(...LISTEN, '--tls-cert', cert, '--tls-key', key, '3001')
  expect(await command.said('/\n')).toMatch(/\nbadass: listening on https:\/\/127\.0\.0\.1:\d+\/\n$/)
  command.signal('SIGTERM')
  // The watcher of the certificates does not keep the process alive.
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('still alive')
})

/** Writes a config module. */
function moduleOf(text: string): string {
  const file = join(temporaryDirectory(), 'badass.mjs')
  writeFileSync(file, text)
  return file
}

test('prints an uncaught exception, and exits with 1', async () => {
  const file = moduleOf(`
    export default { listen: '127.0.0.1:0', backends: [3001] }
    export const lookup = () => { setTimeout(() => { throw new Error('boom') }) }`)
  const command = Command.start('--config', file)
  const port = await command.port()
  net
    .connect(port, '127.0.0.1')
    .on('error', () => undefined)
    .end('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await command.exited).toBe(1)
  expect(command.stderr).toContain('Error: boom')
})

test('exits with 2 if the top-level await of a config module never settles', async () => {
  const command = Command.start('--config', moduleOf('await new Promise(() => undefined)'))
  expect(await command.exited).toBe(2)
  expect(command.stderr).toBe("badass: --config: the module's top-level await never settled\n")
})

test('reports timers that a config module leaves running, and exits', async () => {
  const file = moduleOf(`
    setInterval(() => undefined, 1000)
    export default { listen: '127.0.0.1:0', backends: [3001] }`)
  const command = Command.start('--config', file)
  await command.port()
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr).toMatch(
    /\nbadass: still alive after the drain \(a timer of the config module, a file read, or a blocked log\): exiting\n$/,
  )
})
