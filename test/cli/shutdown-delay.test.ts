import { expect, onTestFinished, test, vi } from 'vitest'
import { Ending } from '../../src/cli/ending.ts'
import { connect } from '../helpers/net.ts'
import { OK } from '../helpers/proxy.ts'
import { Command } from './command.ts'
import { get, startBackend } from './service/support.ts'
import { holdBoth, LAST_OK, pidsOf, startTwo } from './workers/support.ts'

const LISTEN = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']

async function health(command: Command): Promise<[number, string]> {
  const [, url] = /admin page on (\S+)#/.exec(command.stderr)!
  const response = await fetch(new URL('healthz', url))
  return [response.status, await response.text()]
}

test('clients are accepted until a second signal, while /healthz says 503', async () => {
  const { port: backend } = await startBackend()
  const command = Command.start(...LISTEN, '--shutdown-delay', '1h', String(backend))
  const port = await command.port()
  await command.said('admin page on')
  expect(await health(command)).toEqual([200, 'ok\n'])
  command.signal('SIGTERM')
  await command.said('badass: SIGTERM: draining in 3600 s; repeat to drain now\n')
  expect(await health(command)).toEqual([503, 'draining\n'])
  expect((await get(port)).status).toBe(200)
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: the service is about to end\n')
  command.signal('SIGTERM')
  await command.said('badass: SIGTERM: draining for up to 30 s; repeat to end at once\n')
  expect(await command.exited).toBe(0)
})

test('the drain begins by itself after the delay', async () => {
  const { port: backend } = await startBackend()
  const command = Command.start(...LISTEN, '--shutdown-delay', '50ms', String(backend))
  await command.port()
  command.signal('SIGINT')
  expect(await command.exited).toBe(0)
  expect(command.stderr).toContain(
    'badass: SIGINT: draining in 0.05 s; repeat to drain now\n' +
      'badass: after 0.05 s: draining for up to 30 s; repeat to end at once\n',
  )
})

test('a third signal ends the process at once', async () => {
  const { port: backend } = await startBackend()
  const command = Command.start(...LISTEN, '--shutdown-delay', '1h', '--grace', '1h', String(backend))
  const client = await connect(await command.port())
  client.write('GET / HT')
  command.signal('SIGTERM')
  await command.said('repeat to drain now\n')
  command.signal('SIGTERM')
  await command.said('repeat to end at once\n')
  command.signal('SIGTERM')
  expect(await command.exited).toBe('SIGTERM')
})

test.each(['the primary', 'all of the group'])(
  'workers serve on during the delay after a SIGTERM to %s',
  async (who) => {
    const settings = { backends: [await startBackend()], admin: '127.0.0.1:0', shutdownDelay: '1h' }
    const team = await startTwo(settings)
    const { command, port } = team
    const pids = await pidsOf(port)
    const open = await holdBoth(team)
    const signal = () => {
      if (who !== 'the primary') for (const pid of pids) process.kill(pid, 'SIGTERM')
      command.signal('SIGTERM')
    }
    signal()
    await command.said('repeat to drain now\n')
    expect(await health(command)).toEqual([503, 'draining\n'])
    expect(await pidsOf(port)).toEqual(pids)
    signal()
    await command.said('repeat to end at once\n')
    for (const { client, peer } of open) {
      peer.end(OK)
      expect(await client.ended()).toBe(LAST_OK)
      client.end()
    }
    expect(await command.exited).toBe(0)
  },
)

test('a delay that begins while a worker with SIGTERM waits for its replacement keeps that worker', async () => {
  const team = await startTwo({ backends: [await startBackend()], shutdownDelay: '1h' })
  const pids = await pidsOf(team.port)
  process.kill(pids[0], 'SIGTERM')
  team.command.signal('SIGTERM')
  await team.command.said('repeat to drain now\n')
  expect(await pidsOf(team.port)).toEqual(pids)
})

test('without a delay the first signal drains, and the delay is read at the signal', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const calls: string[] = []
  const service = {
    shutdownDelay: 5_000,
    grace: 1_000,
    announceEnd: () => void calls.push('announceEnd'),
    drain: async () => void calls.push('drain'),
    stop: () => void calls.push('stop'),
  }
  const events = { say: () => undefined, drained: () => undefined, failed: () => undefined }
  new Ending(events).signal({ ...service, shutdownDelay: 0 }, 'SIGTERM')
  expect(calls.splice(0)).toEqual(['drain'])
  new Ending(events).signal(service, 'SIGTERM')
  vi.advanceTimersByTime(4_999)
  expect(calls).toEqual(['announceEnd'])
  vi.advanceTimersByTime(1)
  expect(calls).toEqual(['announceEnd', 'drain'])
})
