import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect } from '../helpers/net.ts'
import { GET, OK } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { get, startBackend } from './service/support.ts'

const LISTEN = ['--listen', '127.0.0.1:0']

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s lets what is open end, and the process ends by itself with 0',
  async (signal) => {
    const backend = await Backend.start()
    const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--health', 'tcp', String(backend.port))
    const port = await command.port()
    // The first is the health check.
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
    await command.said(`badass: ${signal}: draining for up to 30 s; once more to end at once\n`)
    await expect(connect(port)).rejects.toThrow('ECONNREFUSED')
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
    client.end()
    expect(await command.exited).toBe(0)
    expect(command.stderr).not.toContain('keeps the process')
    expect(command.stdout).toBe('')
  },
)

test('what does not end within the grace is reset, and that is a clean end', async () => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, '--grace', '50', String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  await backend.next()
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr).toContain('SIGTERM: draining for up to 0.05 s; once more to end at once\n')
  await client.closed()
  expect(client.error?.code).toBe('ECONNRESET')
})

test.each([
  ['SIGTERM', 'SIGINT', 130],
  ['SIGINT', 'SIGTERM', 143],
] as const)('after %s a %s ends the process at once with %i', async (first, second, code) => {
  const backend = await Backend.start()
  const command = Command.start(...LISTEN, String(backend.port))
  const client = await connect(await command.port())
  client.write(GET)
  await backend.next()
  command.signal(first)
  await command.said('draining')
  command.signal(second)
  expect(await command.exited).toBe(code)
})

test('SIGHUP reads the config anew, and keeps what is open', async () => {
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

test('of two SIGHUPs, the later counts, however long the config of the earlier takes to load', async () => {
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
  await command.said('badass: not reloaded: the config was read anew meanwhile\n')
  expect((await get(port)).id).toBe('b')
})

/** Of util-linux; Node has no terminals of its own to give. */
const SCRIPT = '/usr/bin/script'

test.runIf(process.platform === 'linux' && existsSync(SCRIPT))(
  'it does not outlive the terminal that it was started in',
  async () => {
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
  },
)

test('SIGHUP while it drains is told to be too late', async () => {
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

test('a signal that comes while it starts ends it at once', async () => {
  const names = await NameServer.start()
  names.set('app.test', 'silence')
  const command = Command.start(...LISTEN, '--admin', '127.0.0.1:0', '--dns-server', names.address, 'dns:app.test:80')
  await names.asked('A app.test')
  command.signal('SIGTERM')
  expect(await command.exited).toBe(143)
  expect(command.stderr).toBe('')
})
