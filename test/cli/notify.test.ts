import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

const SERVING = 'READY=1;STATUS=serving;'
const RELOADING = 'RELOADING=1;MONOTONIC_USEC=#;'
const FAILED = 'READY=1;STATUS=serving with the old config: the new one has a mistake;'
const STOPPING = 'STOPPING=1;STATUS=draining;'

/** A program systemd-notify that writes its arguments to a file. `first`: a shell command that it runs first. */
function fakeNotify(first = ':'): { env: NodeJS.ProcessEnv; until(lines: number): Promise<string[]> } {
  const directory = temporaryDirectory()
  const [program, log] = [join(directory, 'systemd-notify'), join(directory, 'log')]
  writeFileSync(log, '')
  writeFileSync(program, `#!/bin/sh\n${first}\nline=$(printf '%s;' "$@")\necho "$line" >> '${log}'\n`)
  chmodSync(program, 0o755)
  const lines = () =>
    readFileSync(log, 'utf8')
      .replaceAll(/USEC=\d{4,}/g, 'USEC=#')
      .split('\n')
      .slice(0, -1)
  const until = async (count: number) => {
    const changes = watch(log)
    onTestFinished(() => changes.close())
    while (lines().length < count) await once(changes, 'change')
    return lines()
  }
  return { env: { NOTIFY_SOCKET: '/run/x', PATH: `${directory}:${process.env.PATH}` }, until }
}

test.each([1, 2])('reports the start, reloads and the end to the service manager; workers: %i', async (workers) => {
  const { env, until } = fakeNotify()
  const { port } = await startBackend()
  const file = join(temporaryDirectory(), 'badass.json')
  const write = (settings: object) =>
    writeFileSync(file, JSON.stringify({ listen: '127.0.0.1:0', shutdownDelay: '1h', workers, ...settings }))
  write({ backends: [port] })
  const command = Command.startIn(env, '--config', file)
  expect(await until(1)).toEqual([SERVING])
  command.signal('SIGHUP')
  expect(await until(3)).toEqual([SERVING, RELOADING, SERVING])
  write({ backends: [] })
  command.signal('SIGHUP')
  expect(await until(5)).toEqual([SERVING, RELOADING, SERVING, RELOADING, FAILED])
  command.signal('SIGTERM')
  const all = [SERVING, RELOADING, SERVING, RELOADING, FAILED, STOPPING]
  expect(await until(6)).toEqual(all)
  // No more news after the end has begun.
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: ', 2)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(await until(6)).toEqual(all)
})

test('all messages are sent before the process ends', async () => {
  const gate = join(temporaryDirectory(), 'gate')
  execFileSync('/usr/bin/mkfifo', [gate])
  const { env, until } = fakeNotify(`cat '${gate}'`)
  const { port } = await startBackend()
  const command = Command.startIn(env, '--listen', '127.0.0.1:0', String(port))
  await command.port()
  command.signal('SIGTERM')
  await command.said('draining')
  await writeFile(gate, '')
  expect(await until(1)).toEqual([SERVING])
  await writeFile(gate, '')
  expect(await until(2)).toEqual([SERVING, STOPPING])
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('still alive')
})

test('a missing systemd-notify costs a line, not the start', async () => {
  const env = { NOTIFY_SOCKET: '/run/x', PATH: temporaryDirectory() }
  const { port } = await startBackend()
  const child = spawn(process.execPath, ['dist/cli/main.js', '--listen', '127.0.0.1:0', String(port)], { env })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  while (!said.includes('service manager')) await once(child.stderr, 'data')
  expect(said).toContain(
    'cannot notify the service manager: systemd-notify cannot be run (spawn systemd-notify ENOENT)\n',
  )
  expect(child.exitCode).toBe(null)
})

const [PROGRAM, PERL] = ['/usr/bin/systemd-notify', '/usr/bin/perl']

/** Prints the datagrams of a Unix socket, which Node cannot receive. */
const RECEIVE = `use IO::Socket::UNIX; use Socket; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; print "open\\n";
while (defined($socket->recv(my $text, 4096))) { print "$text\\n" }`

test.runIf(process.env.CI || [PROGRAM, PERL].every(existsSync))('systemd-notify sends it', async () => {
  const path = join(temporaryDirectory(), 'notify.sock')
  const manager = spawn(PERL, ['-e', RECEIVE, path])
  onTestFinished(() => void manager.kill('SIGKILL'))
  let received = ''
  manager.stdout.on('data', (chunk) => {
    received += chunk
  })
  const until = async (text: string) => {
    while (!received.includes(text)) await once(manager.stdout, 'data')
  }
  await until('open')
  const { port } = await startBackend()
  const command = Command.startIn({ NOTIFY_SOCKET: path }, '--listen', '127.0.0.1:0', String(port))
  await until('READY=1\nSTATUS=serving\n')
  // systemd-notify then waits until the manager has read it.
  await until('BARRIER=1')
  command.signal('SIGTERM')
  await until('STOPPING=1\nSTATUS=draining\n')
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('notify')
})
