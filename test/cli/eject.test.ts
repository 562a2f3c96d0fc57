import http from 'node:http'
import { expect, test } from 'vitest'
import { listen } from '../helpers/net.ts'
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
