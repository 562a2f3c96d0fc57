import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Command } from '../command.ts'
import { startBackend } from '../service/support.ts'
import { ConfigFile, holdBoth, LAST_OK, pidOf, pidsOf, startTwo, untilServedBy } from './support.ts'

const REPLACING = 'replacing it'

test('SIGHUP reloads every worker: open connections stay, addresses change', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const path = join(temporaryDirectory(), 'x.sock')
  const team = await startTwo({ backends: [a], listen: ['127.0.0.1:0', '127.0.0.1:0'] })
  const { command, port, file } = team
  const open = await holdBoth(team)
  const pids = await pidsOf(port)
  file.write({ backends: [b], listen: ['127.0.0.1:0', `unix:${path}`] })
  command.signal('SIGHUP')
  await command.said(
    `badass: reloaded\nbadass: reading every request (--requests every)\nbadass: listening on http://127.0.0.1:${port}/\n`,
  )
  await command.said(`badass: listening on unix:${path}\n`)
  for (const to of [port, { socketPath: path }]) {
    const all = await untilServedBy((seen) => seen.size === 2, to)
    expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
    expect([...new Set(all.map(pidOf))].sort()).toEqual(pids)
  }
  const [, , gone] = /:(\d+)\/\n.*:(\d+)\/\n/.exec(command.stderr)!
  await expect(connect(Number(gone))).rejects.toThrow('ECONNREFUSED')
  for (const { client, peer } of open) {
    peer.end(OK)
    expect(await client.ended()).toBe(LAST_OK)
  }
})

test('another number of workers needs a restart; the rest of the config is used', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const file = new ConfigFile(await Backend.start(), { backends: [a], workers: 2 })
  const command = Command.start('--config', file.path)
  const port = await command.port()
  file.write({ backends: [b], workers: 3 })
  command.signal('SIGHUP')
  await command.said('badass: workers: 3 needs a restart; still running 2\n')
  const all = await untilServedBy((pids) => pids.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
})

/** Code that runs in one worker only. */
const inSecond = (code: string) => `if (cluster.worker?.id === 2) { ${code} }`

test('if one worker cannot use the new config, none does, with one line', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const path = join(temporaryDirectory(), 'x.sock')
  const { command, port, file } = await startTwo({ backends: [a] })
  const before = command.stderr
  const pids = await pidsOf(port)
  file.write({ backends: [b], listen: ['127.0.0.1:0', `unix:${path}`] }, inSecond(`throw new Error('not here')`))
  command.signal('SIGHUP')
  await command.said('not here\n')
  expect(command.stderr.slice(before.length)).toBe(`badass: not reloaded: ${file.path}:2: not here\n`)
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['a']))
  await expect(connect({ path })).rejects.toThrow('ENOENT')
  // The next reload works, in the same processes.
  file.write({ backends: [b] })
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  const after = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(after.map(({ id }) => id))).toEqual(new Set(['b']))
  expect([...new Set(after.map(pidOf))].sort()).toEqual(pids)
})

test('the primary reports config errors like a single process', async () => {
  const taken = await listen(createServer())
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  file.write({ backends: [b], listen: ['127.0.0.1:0', `127.0.0.1:${taken}`] })
  command.signal('SIGHUP')
  await command.said(`badass: not reloaded: cannot listen on 127.0.0.1:${taken}: the address is in use\n`)
  file.write({ backends: [b], listen: port })
  command.signal('SIGHUP')
  await command.said(
    `badass: not reloaded: cannot listen on *:${port}: the address is in use by this process, which opens new addresses before it closes old ones\n`,
  )
  file.write({ backends: [b], grace: 'soon' })
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: ')
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['a']))
})

test('an aborted reload removes nothing', async () => {
  const taken = await listen(createServer())
  const path = join(temporaryDirectory(), 'x.sock')
  const settings = { backends: [await startBackend('a')], listen: ['127.0.0.1:0', `unix:${path}`] }
  const { command, port, file } = await startTwo({ ...settings, listen: '127.0.0.1:0' })
  file.write(settings)
  command.signal('SIGHUP')
  await command.said(`badass: listening on unix:${path}\n`)
  for (const [times, one] of [`127.0.0.1:${taken}`, 'unix:/nowhere/x.sock'].entries()) {
    file.write({ ...settings, listen: [...settings.listen, one] })
    command.signal('SIGHUP')
    await command.said('badass: not reloaded: cannot listen on ', times + 1)
  }
  for (const to of [port, { socketPath: path }]) await pidsOf(to)
})

test('a worker that dies during a reload does not block it, and its replacement has the new config', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  file.write({ backends: [b] }, inSecond(`process.kill(process.pid, 'SIGKILL')`))
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  await command.said(REPLACING)
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
})

test('a replacement gets the settings in force, not those now in the file', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  const [first, second] = await pidsOf(port)
  file.write({ backends: [b] })
  process.kill(first, 'SIGKILL')
  await command.said(REPLACING)
  const all = await untilServedBy((seen) => seen.size === 2 && seen.has(second), port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['a']))
})

test('a replacement that cannot start is retried until it can', async () => {
  const a = await startBackend('a')
  const { command, port, file } = await startTwo({ backends: [a] })
  const [first, second] = await pidsOf(port)
  file.write({ backends: [a] }, `throw new Error('broken')`)
  process.kill(first, 'SIGKILL')
  await command.said(`cannot start: ${file.path}:2: broken; ${REPLACING}`, 2)
  expect(command.stderr).toMatch(/badass: worker [12] cannot start: /)
  file.write({ backends: [a] })
  await untilServedBy((seen) => seen.size === 2 && seen.has(second), port)
})

test('a reload works while a replacement cannot start', async () => {
  const [a, b, slow] = [await startBackend('a'), await startBackend('b'), await Backend.start()]
  const { command, port, file } = await startTwo({ backends: [a] })
  const [first] = await pidsOf(port)
  const wait = `import net from 'node:net'
    const wait = () => new Promise((resolve) => net.connect(${slow.port}, '127.0.0.1').resume().on('end', resolve))`
  file.write({ backends: [a] }, `${wait}\nif (cluster.worker?.id === 3) { await wait(); throw new Error('broken') }`)
  process.kill(first, 'SIGKILL')
  const starting = await slow.next()
  file.write({ backends: [b] }, `${wait}\nif (cluster.isWorker) await wait()`)
  command.signal('SIGHUP')
  // The running workers prepare it at the same time.
  const preparing = await slow.next()
  starting.end()
  await command.said(': broken; ')
  preparing.end()
  await command.said('reloaded')
  expect(command.stderr).toContain('badass: reloaded\n')
  const last = await slow.next()
  last.end()
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
})

test.each([
  [inSecond(`throw new Error('not here')`), 2, /^badass: \S+:2: not here\n$/],
  [inSecond('process.exit(3)'), 1, /^badass: worker 2 ended with 3 before all could serve\n$/],
])('no worker serves after %s at the start', async (code, status, line) => {
  const settings = { backends: [await startBackend('a')] }
  const file = new ConfigFile(await Backend.start(), settings)
  file.write(settings, code)
  const command = Command.start('--config', file.path, '--workers', '2')
  expect(await command.exited).toBe(status)
  expect(command.stderr).toMatch(line)
})
