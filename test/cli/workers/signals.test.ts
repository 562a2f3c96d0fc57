import { expect, test } from 'vitest'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { OK } from '../../helpers/proxy.ts'
import { Command } from '../command.ts'
import { get, startBackend } from '../service/support.ts'
import { ConfigFile, holdBoth, LAST_OK, pidOf, pidsOf, startTwo, untilServedBy } from './support.ts'

const REPLACING = 'replacing it'

/** Resolves when the process at the other side has ended, by an end or a reset. */
async function over(client: Peer): Promise<void> {
  await client.ended().catch(() => undefined)
}

/** Resolves when the port is closed. Before, a connection may be accepted or reset. */
async function untilRefused(port: number): Promise<void> {
  for (let isOver = false; !isOver; ) {
    isOver = await connect(port).then(
      ({ socket }) => !socket.destroy(),
      ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED',
    )
  }
}

test.each([
  ['SIGTERM', 'the primary'],
  ['SIGINT', 'the primary'],
  ['SIGTERM', 'all of the group'],
  ['SIGINT', 'all of the group'],
] as const)('%s to %s lets what is open end in every worker, and all end with 0', async (signal, who) => {
  const team = await startTwo({ backends: [await startBackend()] })
  const { command, port } = team
  const open = await holdBoth(team)
  if (who !== 'the primary') for (const { pid } of open) process.kill(pid, signal)
  command.signal(signal)
  await command.said(`badass: ${signal}: draining for up to 30 s; repeat to end at once\n`)
  // A worker may still be replaced before it gets the signal, and print lines until then.
  await untilRefused(port)
  for (const { client, peer } of open) {
    peer.end(OK)
    expect(await client.ended()).toBe(LAST_OK)
    client.end()
  }
  // All processes have closed stdout and stderr, so none is left.
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('keeps the process')
})

test.each([
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
] as const)('after %s a %s ends all processes at once, by that signal', async (first, second) => {
  const team = await startTwo({ backends: [await startBackend()] })
  const open = await holdBoth(team)
  team.command.signal(first)
  await team.command.said('draining')
  team.command.signal(second)
  expect(await team.command.exited).toBe(second)
  await Promise.all(open.map(({ client }) => over(client)))
})

test('after the grace connections are reset in every worker, and the exit is clean', async () => {
  const team = await startTwo({ backends: [await startBackend()], grace: 50 })
  const open = await holdBoth(team)
  team.command.signal('SIGTERM')
  expect(await team.command.exited).toBe(0)
  for (const { client } of open) {
    await client.closed()
    expect(client.error?.code).toBe('ECONNRESET')
  }
})

test('when the primary is killed, no worker outlives it', async () => {
  const team = await startTwo({ backends: [await startBackend()] })
  const open = await holdBoth(team)
  team.command.signal('SIGKILL')
  expect(await team.command.exited).toBe('SIGKILL')
  await Promise.all(open.map(({ client }) => over(client)))
  // A killed process closes its sockets one by one.
  await untilRefused(team.port)
})

test('a killed worker loses its connections and is replaced; the other continues', async () => {
  const team = await startTwo({ backends: [await startBackend()] })
  const { command, port } = team
  const [lost, kept] = await holdBoth(team)
  process.kill(lost.pid, 'SIGKILL')
  await over(lost.client)
  await command.said(REPLACING)
  expect(command.stderr).toMatch(/\nbadass: worker [12] was killed by SIGKILL; replacing it\n$/)
  const all = await untilServedBy((pids) => pids.size === 2 && pids.has(kept.pid), port)
  expect(all.map(({ status }) => status)).toEqual(all.map(() => 200))
  expect(all.map(pidOf)).not.toContain(lost.pid)
  kept.peer.end(OK)
  expect(await kept.client.ended()).toBe(LAST_OK)
})

test('a worker that gets SIGTERM is replaced first, and then drains', async () => {
  const team = await startTwo({ backends: [await startBackend()] })
  const { command, port } = team
  const [leaving, kept] = await holdBoth(team)
  process.kill(leaving.pid, 'SIGTERM')
  await command.said(`got SIGTERM; ${REPLACING}\n`)
  // It accepts clients until its replacement does.
  const old = [leaving.pid, kept.pid]
  const all = await untilServedBy((pids) => [...pids].some((pid) => !old.includes(pid)), port)
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]))
  for (const { client, peer } of [leaving, kept]) {
    peer.end(OK)
    expect(await client.ended()).toBe(LAST_OK)
    client.end()
  }
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr.split(REPLACING)).toHaveLength(2)
})

test('an uncaught exception ends one worker only', async () => {
  const { command, port, file } = await startTwo({ backends: [await startBackend()] })
  await pidsOf(port)
  file.write({ backends: [await startBackend()] }, `process.on('SIGUSR2', () => { throw new Error('boom') })`)
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  const [a, b] = await pidsOf(port)
  process.kill(a, 'SIGUSR2')
  await command.said('Error: boom')
  await command.said(`ended with 1; ${REPLACING}`)
  await untilServedBy((pids) => pids.size === 2 && pids.has(b), port)
  expect((await get(port)).status).toBe(200)
})

test('retries if no process can be created for a replacement', async () => {
  const settings = { backends: [await startBackend()] }
  const file = new ConfigFile(await Backend.start(), settings)
  const refuseThird = `const { fork } = cluster
    let count = 0
    cluster.fork = () => { if (++count === 3) throw new Error('spawn ENOMEM'); return fork() }`
  file.write(settings, `if (cluster.isPrimary) { ${refuseThird} }`)
  const command = Command.start('--config', file.path, '--workers', '2')
  const port = await command.port()
  const [a, b] = await pidsOf(port)
  process.kill(a, 'SIGKILL')
  await command.said(`could not be started: spawn ENOMEM; ${REPLACING}\n`)
  await untilServedBy((pids) => pids.size === 2 && pids.has(b), port)
})

test('SIGUSR1 opens no inspector in any process, and SIGUSR2 ends none', async () => {
  const { command, port } = await startTwo({ backends: [await startBackend()] })
  const pids = await pidsOf(port)
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) for (const pid of pids) process.kill(pid, signal)
  command.signal('SIGUSR1')
  command.signal('SIGUSR2')
  await command.said('badass: SIGUSR2: ignored\n')
  expect(await pidsOf(port)).toEqual(pids)
  expect(command.stderr).not.toContain('Debugger')
})

test('a worker that a SIGHUP ends before its first line runs is started again', async () => {
  const settings = { backends: [await startBackend()] }
  const file = new ConfigFile(await Backend.start(), settings)
  const endFirst = `const { fork } = cluster
    let count = 0
    cluster.fork = () => {
      const worker = fork()
      if (++count === 1) worker.process.kill('SIGHUP')
      return worker
    }`
  file.write(settings, `if (cluster.isPrimary) { ${endFirst} }`)
  const command = Command.start('--config', file.path, '--workers', '2')
  await pidsOf(await command.port())
})
