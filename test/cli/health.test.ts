import http from 'node:http'
import { expect, test } from 'vitest'
import type { BackendStatus } from '../../src/index.ts'
import { listen } from '../helpers/net.ts'
import { Command } from './command.ts'
import { get, startBackend } from './service/support.ts'

// The real command, before backends that are checked at a port of its own.

test.each(['1', '2'])('--health: a backend drains while its checks say so, with %s workers', async (workers) => {
  const backend = await startBackend()
  const asked = new Set<string>()
  let status = 204
  const checked = http.createServer((request, response) => {
    asked.add(`${request.method} ${request.url} ${request.headers.host}`)
    response.writeHead(status).end()
  })
  const port = await listen(checked)
  const health = `/healthz,port=${port},interval=40ms,fast=20ms,timeout=20s,drain-status=404`
  const args = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', workers, '--sticky']
  const command = Command.start(...args, '--health', health, `127.0.0.1:${backend.port}`)
  const to = await command.port()
  if (workers !== '1') await command.said(`${workers} workers serve`)
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  const state = async () => {
    const { backends } = (await (await fetch(new URL('api/state', admin))).json()) as { backends: BackendStatus[] }
    return backends[0]!
  }
  /** Resolves when all of many clients get this status. */
  const untilAllGet = async (wanted: number, headers = {}) => {
    for (let row = 0; row < 12; ) row = (await get(to, headers)).status === wanted ? row + 1 : 0
  }
  const { status: first, cookies } = await get(to)
  expect(first).toBe(200)
  const Cookie = cookies[0]!.split(';')[0]
  status = 404
  await untilAllGet(503)
  await untilAllGet(200, { Cookie })
  expect(await state()).toMatchObject({ state: 'up', draining: true, drainedBy: ['check'] })
  const metrics = await (await fetch(new URL('metrics', admin))).text()
  expect(metrics).toMatch(/^badass_backend_draining\{.*\} 1$/m)
  status = 204
  await untilAllGet(200)
  expect(command.stderr).toContain(' is draining: it gets no new clients\n')
  await command.said(' gets new clients again\n')
  expect([...asked]).toEqual([`GET /healthz 127.0.0.1:${port}`])
})
