import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect } from '../helpers/net.ts'
import { GET, OK } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'
import { Command } from './command.ts'
import { get, startBackend } from './service/support.ts'

const LISTEN = ['--listen', '127.0.0.1:0']
const MKFIFO = '/usr/bin/mkfifo'

/** Connections in the backlog are still accepted after the end of listening. Tries until a connect is refused. */
async function untilRefused(port: number): Promise<void> {
  for (let error: NodeJS.ErrnoException | undefined; error?.code !== 'ECONNREFUSED'; ) {
    error = await connect(port).then(
      ({ socket }) => void socket.destroy(),
      (failure: NodeJS.ErrnoException) => failure,
    )
  }
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s drains the process, which then exits with 0', async (signal) => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--health', 'tcp', String(backend.port))
  const port = await command.port()
  // The first connection is the health check.
  const isCheck = async () => (await backend.next()).ended()
  expect(await isCheck()).toBe('')
  const client = await connect(port)
  client.write(GET)
  let peer = await backend.next()
  while (!peer.text.startsWith('GET')) {
    if (peer.hasEnded) peer = await backend.next()
    else await Promise.race([once(peer.socket, 'data'), once(peer.socket, 'end')])
  }
  command.signal(signal)
  await command.said(`badass: ${signal}: draining for up to 30 s; repeat to end at once\n`)
  await untilRefused(port)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
  client.end()
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('keeps the process')
  expect(command.stdout).toBe('')
})

test('idle clients do not delay the exit', async () => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, '--requests', 'every', '--grace', '1h', String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.write(OK)
  await client.until('ok')
  command.signal('SIGTERM')
  expect(await client.ended()).toBe(OK)
  expect(await command.exited).toBe(0)
})

test('resets connections after the grace period, and exits with 0', async () => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, '--grace', '50', String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  await backend.next()
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr).toContain('SIGTERM: draining for up to 0.05 s; repeat to end at once\n')
  await client.closed()
  expect(client.error?.code).toBe('ECONNRESET')
})

test.each([
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
] as const)('ends at once with the second signal: after %s a %s', async (first, second) => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  await backend.next()
  command.signal(first)
  await command.said('draining')
  command.signal(second)
  expect(await command.exited).toBe(second)
})

test('SIGHUP reloads the config and keeps connections open', async () => {
  const backend = await Backend.start()
  const a = await startBackend('a')
  const file = join(temporaryDirectory(), 'badass.json')
  const write = (settings: object) => writeFileSync(file, JSON.stringify(settings))
  const listen = '127.0.0.1:0'
  write({ listen, backends: [{ port: backend.port, id: 'old' }] })
  const command = Command.start('--config', file)
  const port = await command.port()
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')

  write({ listen, backends: [a] })
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  await command.said(`badass: listening on http://127.0.0.1:${port}/\n`, 2)
  expect((await get(port)).id).toBe('a')

  writeFileSync(file, '{ "listen": ')
  command.signal('SIGHUP')
  await command.said(`badass: not reloaded: ${file}:1:`)
  write({ listen: [listen, 'unix:/nowhere/x.sock'], backends: [a] })
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: cannot listen on unix:/nowhere/x.sock: no such directory\n')
  expect((await get(port)).id).toBe('a')

  peer.end(OK)
  expect(await client.ended()).toBe(OK)
  client.end()
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
})

test.each([1, 2])('prints the admin token once, also after reloads; workers: %i', async (workers) => {
  const file = join(temporaryDirectory(), 'badass.json')
  const [listen, admin] = ['127.0.0.1:0', '127.0.0.1:0']
  const write = (settings: object) => writeFileSync(file, JSON.stringify({ listen, admin, workers, ...settings }))
  write({ backends: ['3001'] })
  const command = Command.start('--config', file)
  const [, url] = /admin page on (\S+)#token=\S+\n/.exec(await command.said('#token='))!
  command.signal('SIGHUP')
  await command.said(`admin page on ${url}\n`)
  // A new address causes a new line, but no new token.
  write({ backends: ['3002'], admin: 'localhost:0' })
  command.signal('SIGHUP')
  await command.said('admin page on', 3)
  expect(command.stderr.split('#token=')).toHaveLength(2)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
})

test('the later of two SIGHUPs wins, even if the earlier config loads more slowly', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const file = join(temporaryDirectory(), 'badass.mjs')
  const slow = await Backend.start()
  const settings = (backend: object) =>
    `export default { listen: '127.0.0.1:0', backends: [${JSON.stringify(backend)}] }`
  writeFileSync(file, settings(a))
  const command = Command.start('--config', file)
  const port = await command.port()
  writeFileSync(
    file,
    `import net from 'node:net'
    await new Promise((resolve) => net.connect(${slow.port}, '127.0.0.1').resume().on('end', resolve))
    ${settings(a)}`,
  )
  command.signal('SIGHUP')
  const gate = await slow.next()
  writeFileSync(file, settings(b))
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  gate.end()
  await command.said('badass: not reloaded: a later reload has read a newer config\n')
  expect((await get(port)).id).toBe('b')
})

/** From util-linux. Node cannot create terminals. */
const SCRIPT = '/usr/bin/script'

test.runIf(process.platform === 'linux' && existsSync(SCRIPT))('ends when its terminal is closed', async () => {
  const backend = await Backend.start()
  const line = `echo "pid $$"; exec '${process.execPath}' dist/cli/main.js ${LISTEN.join(' ')} ${backend.port}`
  const terminal = spawn(SCRIPT, ['-qec', line, '/dev/null'], { env: { ...process.env, SHELL: '/bin/sh' } })
  let text = ''
  terminal.stdout.on('data', (chunk) => {
    text += chunk
  })
  onTestFinished(() => void terminal.kill('SIGKILL'))
  while (!/listening on \S+\/\s/.test(text)) await once(terminal.stdout, 'data')
  const pid = Number(/pid (\d+)/.exec(text)![1])
  onTestFinished(() => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended
    }
  })
  const client = await connect(Number(/:(\d+)\//.exec(text)![1]))
  client.write(GET)
  await backend.next()
  terminal.kill('SIGKILL')
  await client.closed()
})

test('refuses SIGHUP during a drain', async () => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  const peer = await backend.next()
  command.signal('SIGTERM')
  await command.said('draining')
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: the service is about to end\n')
  peer.end(OK)
  client.end()
  expect(await command.exited).toBe(0)
})

test('a signal during the start ends the process at once', async () => {
  const names = await NameServer.start()
  names.set('app.test', 'silence')
  const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--dns-server', names.address, 'dns:app.test:80')
  await names.asked('A app.test')
  command.signal('SIGTERM')
  expect(await command.exited).toBe('SIGTERM')
  expect(command.stderr).toBe('')
})

test('SIGUSR1 opens no inspector, and SIGUSR2 is ignored with a line', async () => {
  const command = Command.start(...LISTEN, String((await startBackend()).port))
  const port = await command.port()
  const before = command.stderr
  command.signal('SIGUSR1')
  command.signal('SIGUSR2')
  await command.said('badass: SIGUSR2: ignored\n')
  expect((await get(port)).status).toBe(200)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr.slice(before.length)).not.toContain('Debugger')
})

test.each([1, 2])('closes an inspector that an early SIGUSR1 opened; workers: %i', async (workers) => {
  const early = join(temporaryDirectory(), 'early.mjs')
  writeFileSync(
    early,
    `process.kill(process.pid, 'SIGUSR1')
    await new Promise((resolve) => setTimeout(resolve, 100))`,
  )
  const { port: backend } = await startBackend()
  const options = `--inspect-port=0 --import=file://${early}`
  const command = Command.startWith(options, ...LISTEN, '--workers', String(workers), String(backend))
  const port = await command.port()
  const inspectors = [...command.stderr.matchAll(/Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/g)]
  expect(inspectors.length).toBeGreaterThan(0)
  expect((await get(port)).status).toBe(200)
  for (const [, inspector] of inspectors) await expect(connect(Number(inspector))).rejects.toThrow('ECONNREFUSED')
})

/** A pipe without data, so that a read of it hangs. `read` resolves when a process has opened it. */
function hangingFile(path = join(temporaryDirectory(), 'pipe')): { path: string; read(): Promise<void> } {
  execFileSync(MKFIFO, [path])
  const read = async () => {
    const writer = await open(path, 'w')
    onTestFinished(() => writer.close())
  }
  return { path, read }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends the process while a file read hangs at the start',
  async (signal) => {
    const { port } = await startBackend()
    const token = hangingFile()
    const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--admin-token-file', token.path, String(port))
    await token.read()
    command.signal(signal)
    expect(await command.exited).toBe(signal)
  },
)

test('refuses a config module that is a pipe, which would block the process', async () => {
  const path = join(temporaryDirectory(), 'badass.mjs')
  execFileSync(MKFIFO, [path])
  const command = Command.start('--config', path)
  expect(await command.exited).toBe(2)
  expect(command.stderr).toBe(`badass: --config: expected a regular file for a module, got the pipe '${path}'\n`)
})

/** A command whose certificate hangs when it is read again. */
async function startHanging(workers: number): Promise<{ command: Command; port: number }> {
  const { port: backend } = await startBackend()
  const directory = temporaryDirectory()
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  writeFileSync(cert, certificate().cert)
  writeFileSync(key, certificate().key)
  const tls = ['--tls-cert', cert, '--tls-key', key, '--workers', String(workers)]
  const command = Command.start(...LISTEN, ...tls, String(backend))
  const port = await command.port()
  rmSync(cert)
  await hangingFile(cert).read()
  return { command, port }
}

test.each([
  [1, 'SIGTERM'],
  [2, 0],
])('exits even if a reload of the certificate hangs; workers: %i', async (workers, end) => {
  const { command } = await startHanging(workers)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(end)
})

test('workers exit after a kill of the primary even if a reload of the certificate hangs', async () => {
  const { command, port } = await startHanging(2)
  command.signal('SIGKILL')
  await untilRefused(port)
})

test.each([1, 2])('exits even if a file read hangs in a reload; workers: %i', async (workers) => {
  const backend = await Backend.start()
  const file = join(temporaryDirectory(), 'badass.json')
  const settings = { listen: '127.0.0.1:0', backends: [{ port: backend.port }], workers }
  writeFileSync(file, JSON.stringify(settings))
  const start = async () => {
    writeFileSync(file, JSON.stringify(settings))
    const command = Command.start('--config', file)
    const port = await command.port()
    const secret = hangingFile()
    writeFileSync(file, JSON.stringify({ ...settings, sticky: true, secretFile: secret.path }))
    command.signal('SIGHUP')
    await secret.read()
    return { command, port }
  }
  const first = await start()
  first.command.signal('SIGTERM')
  await first.command.said('still alive after the drain')
  expect(await first.command.exited).toBe('SIGTERM')

  const { command, port } = await start()
  const client = await connect(port)
  client.write(GET)
  await backend.next()
  command.signal('SIGTERM')
  await command.said('draining')
  command.signal('SIGTERM')
  expect(await command.exited).toBe('SIGTERM')
})
