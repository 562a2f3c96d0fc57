import { once } from 'node:events'
import http from 'node:http'
import { expect, test } from 'vitest'
import { listen, ownHost } from '../helpers/net.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

// The real command, before real backends.

test('--slow-start: a backend that comes up begins with a sixteenth of its weight, and new ones with all of it', async () => {
  const { port: known } = await startBackend('known')
  const server = http.createServer((_, response) => response.end())
  const late = await listen(server, { port: 0, host: ownHost })
  server.close()
  await once(server, 'close')
  const args = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--slow-start', '1h', '--requests', 'every']
  const command = Command.start(...args, `${ownHost}:${late},id=late`, `${known},id=known`)
  const url = `http://127.0.0.1:${await command.port()}/`
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  const weights = async () => {
    const metrics = await (await fetch(new URL('metrics', admin))).text()
    return [...metrics.matchAll(/^badass_backend_effective_weight\{id="(\w+)",.*\} (\S+)$/gm)].map((match) =>
      match.slice(1),
    )
  }
  expect(await weights()).toEqual([
    ['late', '1'],
    ['known', '1'],
  ])
  for (let i = 0; i < 2; i++) expect((await fetch(url)).status).toBe(200)
  await command.said('backend late is down')
  await listen(server, { port: late, host: ownHost })
  await command.said('backend late is up')
  expect(await weights()).toEqual([
    ['late', '0.0625'],
    ['known', '1'],
  ])
})
