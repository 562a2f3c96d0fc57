import http from 'node:http'
import { expect, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

// The real command, before real backends.

test('--retries: a GET gets the answer of another backend, and a POST is sent once', async () => {
  const methods: (string | undefined)[] = []
  const broken = http.createServer((request) => {
    methods.push(request.method)
    request.socket.resetAndDestroy()
  })
  const sick = await listen(broken)
  const { port: healthy } = await startBackend()
  const args = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--retries', '1']
  const command = Command.start(...args, `127.0.0.1:${sick}`, `${healthy},backup`)
  const url = `http://127.0.0.1:${await command.port()}/`
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  expect((await fetch(url)).status).toBe(200)
  expect((await fetch(url, { method: 'POST', body: 'once' })).status).toBe(502)
  expect(methods).toEqual(['GET', 'POST'])
  expect(command.stderr).toContain('reading every request (--requests every)')
  const metrics = await (await fetch(new URL('metrics', admin))).text()
  expect(metrics).toMatch(/^badass_retries_total 1$/m)
})
