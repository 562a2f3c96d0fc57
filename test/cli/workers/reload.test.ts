import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Command } from '../command.ts'
import { startBackend } from '../service/support.ts'
import { ConfigFile, holdBoth, pidOf, pidsOf, startTwo, untilServedBy } from './support.ts'

const PLACE = 'a new one takes its place'

test('SIGHUP puts the config in force in every worker: what is open stays, addresses come and go', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const path = join(temporaryDirectory(), 'x.sock')
  const team = await startTwo({ backends: [a], listen: ['127.0.0.1:0', '127.0.0.1:0'] })
  const { command, port, file } = team
  const open = await holdBoth(team)
  const pids = await pidsOf(port)
  file.write({ backends: [b], listen: ['127.0.0.1:0', `unix:${path}`] })
  command.signal('SIGHUP')
  await command.said(`badass: reloaded\nbadass: listening on http://127.0.0.1:${port}/\n`)
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
    expect(await client.ended()).toBe(OK)
  }
})

test('another number of workers takes a restart, and all else is taken', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const file = new ConfigFile(await Backend.start(), { backends: [a], workers: 2 })
  const command = Command.start('--config', file.path)
  const port = await command.port()
  file.write({ backends: [b], workers: 3 })
  command.signal('SIGHUP')
  await command.said('badass: workers: got 3, and it runs 2: takes a restart\n')
  const all = await untilServedBy((pids) => pids.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
})

/** Code that is run in one worker only. */
const inSecond = (code: string) => `if (cluster.worker?.id === 2) { ${code} }`

test('where one worker cannot have the new config, none has it, and that is one line', async () => {
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
  // And the next one is taken, by the same processes.
  file.write({ backends: [b] })
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  const after = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(after.map(({ id }) => id))).toEqual(new Set(['b']))
  expect([...new Set(after.map(pidOf))].sort()).toEqual(pids)
})

test('what the primary finds wrong is told as with one process', async () => {
  const taken = await listen(createServer())
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  file.write({ backends: [b], listen: ['127.0.0.1:0', `127.0.0.1:${taken}`] })
  command.signal('SIGHUP')
  await command.said(`badass: not reloaded: cannot listen on 127.0.0.1:${taken}: the address is taken\n`)
  file.write({ backends: [b], listen: port })
  command.signal('SIGHUP')
  await command.said(
    `badass: not reloaded: cannot listen on *:${port}: the address is taken by this very process, which opens what is new before it closes what is old\n`,
  )
  file.write({ backends: [b], grace: 'soon' })
  command.signal('SIGHUP')
  await command.said('badass: not reloaded: ')
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['a']))
})

test('a reload that is given up takes nothing away that the one before brought', async () => {
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

test('a worker that dies amid a reload does not hold it up, and its successor has the new config', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  file.write({ backends: [b] }, inSecond(`process.kill(process.pid, 'SIGKILL')`))
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  await command.said(PLACE)
  const all = await untilServedBy((seen) => seen.size === 2, port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
})

test('a successor has the settings in force, not those that the file has now', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { command, port, file } = await startTwo({ backends: [a] })
  const [first, second] = await pidsOf(port)
  file.write({ backends: [b] })
  process.kill(first, 'SIGKILL')
  await command.said(PLACE)
  const all = await untilServedBy((seen) => seen.size === 2 && seen.has(second), port)
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['a']))
})

test('a successor that cannot start is tried again, until it can', async () => {
  const a = await startBackend('a')
  const { command, port, file } = await startTwo({ backends: [a] })
  const [first, second] = await pidsOf(port)
  file.write({ backends: [a] }, `throw new Error('broken')`)
  process.kill(first, 'SIGKILL')
  await command.said(`cannot start: ${file.path}:2: broken; ${PLACE}`, 2)
  expect(command.stderr).toMatch(/badass: worker [12] cannot start: /)
  file.write({ backends: [a] })
  await untilServedBy((seen) => seen.size === 2 && seen.has(second), port)
})

test('a reload while a successor cannot start is taken: another has its place', async () => {
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
  // Whoever prepares it has been asked at the same time.
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
])('where %s at the start, none serves', async (code, status, line) => {
  const settings = { backends: [await startBackend('a')] }
  const file = new ConfigFile(await Backend.start(), settings)
  file.write(settings, code)
  const command = Command.start('--config', file.path, '--workers', '2')
  expect(await command.exited).toBe(status)
  expect(command.stderr).toMatch(line)
})
