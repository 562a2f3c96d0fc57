import { expect, test } from 'vitest'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { OK } from '../../helpers/proxy.ts'
import { Command } from '../command.ts'
import { get, startBackend } from '../service/support.ts'
import { ConfigFile, holdBoth, pidOf, pidsOf, startTwo, untilServedBy } from './support.ts'

const PLACE = 'a new one takes its place'

/** The process at the other side is gone: to the kernel that is an end, or a reset. */
async function over(client: Peer): Promise<void> {
  await client.ended().catch(() => undefined)
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
  await command.said(`badass: ${signal}: draining for up to 30 s; once more to end at once\n`)
  // A worker is replaced, or not, before it can be told to end: until then it may be heard.
  for (let isOver = false; !isOver; ) {
    isOver =
      (await connect(port).then(
        ({ socket }) => void socket.destroy(),
        ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED',
      )) ?? false
  }
  for (const { client, peer } of open) {
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
    client.end()
  }
  // All have closed stdout and stderr by then: no process is left.
  expect(await command.exited).toBe(0)
  expect(command.stderr).not.toContain('keeps the process')
})

test.each([
  ['SIGTERM', 'SIGINT', 130],
  ['SIGINT', 'SIGTERM', 143],
] as const)('after %s a %s ends all processes at once, with %i', async (first, second, code) => {
  const team = await startTwo({ backends: [await startBackend()] })
  const open = await holdBoth(team)
  team.command.signal(first)
  await team.command.said('draining')
  team.command.signal(second)
  expect(await team.command.exited).toBe(code)
  await Promise.all(open.map(({ client }) => over(client)))
})

test('what does not end within the grace is reset in every worker, and that is a clean end', async () => {
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
  await expect(connect(team.port)).rejects.toThrow('ECONNREFUSED')
})

test('a worker that is killed takes its own connections along, and is replaced; the other serves on', async () => {
  const team = await startTwo({ backends: [await startBackend()] })
  const { command, port } = team
  const [lost, kept] = await holdBoth(team)
  process.kill(lost.pid, 'SIGKILL')
  await over(lost.client)
  await command.said(PLACE)
  expect(command.stderr).toMatch(/\nbadass: worker [12] was killed by SIGKILL; a new one takes its place\n$/)
  const all = await untilServedBy((pids) => pids.size === 2 && pids.has(kept.pid), port)
  expect(all.map(({ status }) => status)).toEqual(all.map(() => 200))
  expect(all.map(pidOf)).not.toContain(lost.pid)
  kept.peer.end(OK)
  expect(await kept.client.ended()).toBe(OK)
})

test('a worker that is told to end lets what it has open end, and is replaced before', async () => {
  const team = await startTwo({ backends: [await startBackend()] })
  const { command, port } = team
  const [leaving, kept] = await holdBoth(team)
  process.kill(leaving.pid, 'SIGTERM')
  await command.said(`was told to end; ${PLACE}\n`)
  // It takes clients until another does.
  const old = [leaving.pid, kept.pid]
  const all = await untilServedBy((pids) => [...pids].some((pid) => !old.includes(pid)), port)
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]))
  for (const { client, peer } of [leaving, kept]) {
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
    client.end()
  }
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stderr.split(PLACE)).toHaveLength(2)
})

test('an exception that nobody catches ends one worker, and no more', async () => {
  const { command, port, file } = await startTwo({ backends: [await startBackend()] })
  await pidsOf(port)
  file.write({ backends: [await startBackend()] }, `process.on('SIGUSR2', () => { throw new Error('boom') })`)
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  const [a, b] = await pidsOf(port)
  process.kill(a, 'SIGUSR2')
  await command.said('Error: boom')
  await command.said(`ended with 1; ${PLACE}`)
  await untilServedBy((pids) => pids.size === 2 && pids.has(b), port)
  expect((await get(port)).status).toBe(200)
})

test('where there is no process to be had for a successor, it is tried again', async () => {
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
  await command.said(`could not be started: spawn ENOMEM; ${PLACE}\n`)
  await untilServedBy((pids) => pids.size === 2 && pids.has(b), port)
})
