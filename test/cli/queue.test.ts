import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Backend, connect, ownHost } from '../helpers/net.ts'
import { GET, OK } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'

// The real command, before real backends.

async function start(...args: readonly string[]) {
  const command = Command.start('--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args)
  const port = await command.port()
  await command.said('admin page on')
  const [, admin] = /admin page on (\S+)#/.exec(command.stderr)!
  const queued = async () => {
    const metrics = await (await fetch(new URL('metrics', admin))).text()
    return Number(/^badass_requests_queued (\d+)$/m.exec(metrics)![1])
  }
  /** Resolves when the number of requests that wait is one of these. */
  const untilQueued = async (...counts: number[]) => {
    while (!counts.includes(await queued()));
  }
  return { command, port, admin: admin!, untilQueued }
}

test.each(['first', 'every'])(
  '--queue: a restart of the only backend costs a wait, with --requests %s',
  async (requests) => {
    const server = http.createServer((_, response) => response.end('back'))
    server.listen(0, ownHost)
    await once(server, 'listening')
    const { port: backend } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    const { port, admin, untilQueued } = await start('--requests', requests, '--queue', '1m', `${ownHost}:${backend}`)
    const answers = [1, 2, 3].map(() => fetch(`http://127.0.0.1:${port}/`))
    await untilQueued(3)
    const state = (await (await fetch(new URL('api/state', admin))).json()) as { counters: { queued: number } }
    expect(state.counters.queued).toBe(3)
    server.listen(backend, ownHost)
    onTestFinished(() => void server.close())
    for (const answer of await Promise.all(answers)) expect([answer.status, await answer.text()]).toEqual([200, 'back'])
    await untilQueued(0)
  },
)

test('--queue: each worker has a queue, and their lengths add up', async () => {
  const backend = await Backend.start()
  const target = `127.0.0.1:${backend.port},max-connections=2`
  const { command, port, untilQueued } = await start('--workers', '2', '--queue', '1m,size=100', target)
  await command.said('badass: 2 workers serve\n')
  const clients = await Promise.all([1, 2, 3, 4, 5, 6].map(async () => connect(port)))
  for (const client of clients) {
    client.socket.on('end', () => client.end())
    client.write(GET)
  }
  // Each worker has one of the two places, and perhaps all clients are at the same worker.
  await untilQueued(4, 5)
  for (const _ of clients) {
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end(OK)
  }
  for (const client of clients) expect(await client.ended()).toBe(OK)
})

test('queue in a config file: a reload turns it on, and off for those that wait', async () => {
  const backend = await Backend.start()
  const file = join(temporaryDirectory(), 'badass.json')
  const backends = [`127.0.0.1:${backend.port},max-connections=1`]
  const write = (settings: object) => writeFileSync(file, JSON.stringify({ backends, ...settings }))
  write({})
  const { command, port, untilQueued } = await start('--config', file)
  const reload = async (times: number) => {
    command.signal('SIGHUP')
    await command.said('badass: reloaded', times)
  }
  const [first, second, third] = [await connect(port), await connect(port), await connect(port)]
  first.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  second.write(GET)
  expect(await second.ended()).toMatch(/^HTTP\/1.1 503 /)
  write({ queue: { timeout: '1m', size: 5 } })
  await reload(1)
  // It was accepted before the reload.
  third.write(GET)
  const late = await connect(port)
  late.write(GET)
  await untilQueued(2)
  write({})
  await reload(2)
  for (const client of [third, late]) expect(await client.ended()).toMatch(/^HTTP\/1.1 503 /)
})
