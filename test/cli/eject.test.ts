import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { send } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

// The real command, before real backends.

test('--eject: a backend that answers 503 gets no clients for a while, as stderr and the metrics say', async () => {
  let asked = 0
  const broken = http.createServer((_, response) => {
    asked++
    response.writeHead(503).end()
  })
  const sick = await listen(broken)
  const { port: healthy } = await startBackend()
  const args = [
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--requests',
    'every',
    '--eject',
    '3,min=1h,max=1h',
  ]
  const command = Command.start(...args, `${sick},id=sick`, `${healthy},id=healthy`)
  const port = await command.port()
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  const statuses = []
  for (let i = 0; i < 20; i++) statuses.push((await fetch(`http://127.0.0.1:${port}/`)).status)
  expect(statuses.filter((status) => status === 503)).toHaveLength(3)
  expect(asked).toBe(3)
  await command.said(' s: it answered 503\n')
  expect(command.stderr).toMatch(/^badass: backend sick is ejected for \d+(\.\d)? s: it answered 503$/m)
  const metrics = await (await fetch(new URL('metrics', admin))).text()
  expect(metrics).toMatch(/^badass_backend_ejected\{id="sick",.*\} 1$/m)
  expect(metrics).toMatch(/^badass_backend_ejections_total\{id="sick",.*\} 1$/m)
  expect(metrics).toMatch(/^badass_backend_ejected\{id="healthy",.*\} 0$/m)
  const state = (await (await fetch(new URL('api/state', admin))).json()) as { backends: { ejectedUntil?: number }[] }
  expect(state.backends.map(({ ejectedUntil }) => ejectedUntil !== undefined)).toEqual([true, false])
})

test('--eject and --slow-start work in each worker, and a reload turns them on and off', async () => {
  const sick = await listen(http.createServer((_, response) => void response.writeHead(503).end()))
  const { port: healthy } = await startBackend()
  const file = join(temporaryDirectory(), 'badass.json')
  const backends = [
    { port: sick, id: 'sick' },
    { port: healthy, id: 'healthy' },
  ]
  const write = (settings: object) =>
    writeFileSync(file, JSON.stringify({ listen: '127.0.0.1:0', requests: 'every', workers: 2, backends, ...settings }))
  write({})
  const command = Command.start('--config', file)
  const port = await command.port()
  /** Asks until each worker has met the sick backend often enough, if it still sends requests there. */
  const ask = async (times: number) => {
    let refused = 0
    for (let i = 0; i < times; i++) {
      const { status } = await send(http.get({ port, host: '127.0.0.1', agent: false }))
      if (status === 503) refused++
    }
    return refused
  }
  expect(await ask(40)).toBeGreaterThan(15)
  write({ eject: { failures: 2, min: '1h', max: '1h' }, slowStart: '1h' })
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  // Each worker counts by itself, so the backend has two more requests for each.
  for (let refused = 0; refused < 4; ) refused += await ask(1)
  await command.said('is ejected for')
  expect(await ask(40)).toBe(0)
  write({})
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n', 2)
  expect(await ask(40)).toBeGreaterThan(15)
})
