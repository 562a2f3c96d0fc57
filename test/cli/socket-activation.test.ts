import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Backend, connect } from '../helpers/net.ts'
import { bindSocket } from '../helpers/passed-socket.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { get, startBackend } from './service/support.ts'
import { ConfigFile, pidsOf } from './workers/support.ts'

/** From the Debian package systemd. */
const ACTIVATE = '/usr/bin/systemd-socket-activate'

test('listens on all passed sockets of a name, TCP and Unix, and leaves the others', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const [web, second, other, unix] = [bindSocket(), bindSocket(), bindSocket(), bindSocket(path)]
  const sockets = { web: web.fd, 'web#2': second.fd, other: other.fd, local: unix.fd }
  const { port: backend } = await startBackend()
  const command = Command.startAt(sockets, '--listen', 'fd:web', '--listen', 'fd:local', String(backend))
  await command.said('badass: listening on fd:web\nbadass: listening on fd:web\nbadass: listening on fd:local\n')
  for (const to of [web.port, second.port, { socketPath: path }]) expect((await get(to)).id).toBe('a')
  await expect(connect(other.port)).rejects.toThrow('ECONNREFUSED')
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  // The file is the service manager's.
  expect(existsSync(path)).toBe(true)
})

test.each([
  [{}, 'web', 'no sockets were passed (LISTEN_FDS and LISTEN_PID)'],
  [{ a: 0, b: 0 }, 'web', 'expected one of the passed sockets, a, b'],
  [{ '': 0 }, 'web', 'expected one of the passed sockets, unknown'],
] as const)('a socket that was not passed stops the start: %j', async (names, name, reason) => {
  const { fd } = bindSocket()
  const sockets = Object.fromEntries(Object.keys(names).map((one) => [one, fd]))
  for (const workers of ['1', '2']) {
    const command = Command.startAt(sockets, '--listen', `fd:${name}`, '--workers', workers, '3001')
    expect(await command.exited).toBe(1)
    expect(command.stderr).toBe(`badass: cannot listen on fd:${name}: ${reason}\n`)
  }
})

test('a descriptor that cannot listen stops the start', async () => {
  const file = openSync('/dev/null', 'r')
  onTestFinished(() => closeSync(file))
  const command = Command.startAt({ web: file }, '--listen', 'fd:web', '3001')
  expect(await command.exited).toBe(1)
  expect(command.stderr).toBe('badass: cannot listen on fd:web: descriptor 3 is not a socket that can listen\n')
})

test('the variables of another process are ignored', async () => {
  const env = { LISTEN_FDS: '1', LISTEN_FDNAMES: 'web', LISTEN_PID: '1' }
  const child = spawn(process.execPath, ['dist/cli/main.js', '--listen', 'fd:web', '3001'], {
    env: { ...process.env, ...env },
  })
  const [said] = await Promise.all([child.stderr.toArray(), once(child, 'exit')])
  expect(said.join('')).toContain('no sockets were passed')
})

test.each([1, 2])(
  'a reload keeps a passed socket, and one that it closes cannot come back; workers: %i',
  async (workers) => {
    const socket = bindSocket()
    const [a, b] = [await startBackend('a'), await startBackend('b')]
    const path = join(temporaryDirectory(), 'badass.json')
    const write = (settings: object) => writeFileSync(path, JSON.stringify({ workers, ...settings }))
    write({ listen: 'fd:web', backends: [a] })
    const command = Command.startAt({ web: socket.fd }, '--config', path)
    await command.said('listening on fd:web\n')
    write({ listen: { fd: 'web' }, backends: [b] })
    command.signal('SIGHUP')
    await command.said('listening on fd:web\n', 2)
    expect((await get(socket.port)).id).toBe('b')
    write({ listen: '127.0.0.1:0', backends: [b] })
    command.signal('SIGHUP')
    await command.said('listening on http')
    write({ listen: ['fd:web', '127.0.0.1:0'], backends: [b] })
    command.signal('SIGHUP')
    await command.said('badass: not reloaded: cannot listen on fd:web: an earlier reload closed it\n')
  },
)

test('workers share a passed socket, and replace one that is killed', async () => {
  const socket = bindSocket()
  const file = new ConfigFile(await Backend.start(), { backends: [await startBackend()], listen: 'fd:web' })
  const command = Command.startAt({ web: socket.fd }, '--config', file.path, '--workers', '2')
  await command.said('badass: 2 workers serve\n')
  const [first, second] = await pidsOf(socket.port)
  process.kill(first, 'SIGKILL')
  await command.said('replacing it\n')
  const after = await pidsOf(socket.port)
  expect(after).toContain(second)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
})

test('if all workers die at once the process exits, to be started with the socket again', async () => {
  const socket = bindSocket()
  const file = new ConfigFile(await Backend.start(), { backends: [await startBackend()], listen: 'fd:web' })
  const start = () => Command.startAt({ web: socket.fd }, '--config', file.path, '--workers', '2')
  const command = start()
  await command.said('badass: 2 workers serve\n')
  for (const pid of await pidsOf(socket.port)) process.kill(pid, 'SIGKILL')
  expect(await command.exited).toBe(1)
  expect(command.stderr).toContain(
    'badass: all workers have ended, and with them the passed sockets: exiting, to be started with them again\n',
  )
  // Whoever connects meanwhile waits, as the socket still listens.
  const waiting = get(socket.port)
  start()
  expect((await waiting).id).toBe('a')
})

test.runIf(process.env.CI || existsSync(ACTIVATE))(
  'systemd-socket-activate starts it for the first client',
  async () => {
    const path = join(temporaryDirectory(), 'x.sock')
    const { port: backend } = await startBackend()
    const args = [
      '-l',
      path,
      '--fdname=web',
      process.execPath,
      'dist/cli/main.js',
      '--listen',
      'fd:web',
      String(backend),
    ]
    const activator = spawn(ACTIVATE, args)
    onTestFinished(() => void activator.kill('SIGKILL'))
    let said = ''
    activator.stderr.on('data', (chunk) => {
      said += chunk
    })
    while (!said.includes('Listening on')) await once(activator.stderr, 'data')
    expect((await get({ socketPath: path })).id).toBe('a')
    activator.kill('SIGTERM')
    expect(await once(activator, 'exit')).toEqual([0, null])
  },
)
