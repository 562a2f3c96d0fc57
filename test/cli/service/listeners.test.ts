import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Service } from '../../../src/cli/service/service.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { configOf, get, startBackend, startService } from './support.ts'

expectNoWarnings()

/** A socket's file whose process is gone. */
async function leaveBehind(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await once(spawn(process.execPath, ['-e', script]), 'exit')
  expect(existsSync(path)).toBe(true)
}

async function refusal(address: { path: string } | { port: number; host: string }): Promise<unknown> {
  const io = { say: () => undefined, log: () => undefined }
  return Service.start(configOf({ listen: [address] }), io).then(
    (service) => {
      service.stop()
      return undefined
    },
    (error: Error) => error.message,
  )
}

test('the socket file of a process that is gone is replaced, and ours is removed at the end', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  await leaveBehind(path)
  const { service } = await startService({ backends: [await startBackend()], listen: [{ path }] })
  expect((await get({ socketPath: path })).id).toBe('a')
  await service.drain()
  expect(existsSync(path)).toBe(false)
})

test('a socket that somebody listens on is refused, and left to work', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const server = net.createServer((socket) => socket.on('error', () => undefined).end('alive'))
  await listen(server, { path })
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: somebody listens there`)
  const client = net.connect(path)
  expect((await once(client, 'data')).toString()).toBe('alive')
})

test('a file that is no socket is refused, and left as it is', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  writeFileSync(path, 'precious')
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: there is a file that is no socket`)
  expect(readFileSync(path, 'utf8')).toBe('precious')
  const link = `${path}.link`
  symlinkSync(path, link)
  expect(await refusal({ path: link })).toBe(`cannot listen on unix:${link}: there is a file that is no socket`)
})

test('a path that Node would cut short is refused', async () => {
  const path = join(temporaryDirectory(), 'x'.repeat(100))
  const most = process.platform === 'linux' ? 107 : 103
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: takes a path of at most ${most} bytes`)
})

test.each([
  [{ path: '/nowhere/x.sock' }, 'unix:/nowhere/x.sock: no such directory'],
  [{ port: 0, host: '192.0.2.1' }, '192.0.2.1:0: this machine has no such address'],
])('%j cannot be listened on', async (address, reason) => {
  expect(await refusal(address)).toBe(`cannot listen on ${reason}`)
})

test('an address that is listed twice is one line', async () => {
  const server = net.createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  const address = { port, host: '127.0.0.1' }
  const io = { say: () => undefined, log: () => undefined }
  await expect(Service.start(configOf({ listen: [address, address] }), io)).rejects.toThrow(
    new Error(`cannot listen on 127.0.0.1:${port}: the address is taken`),
  )
  // What was opened before it is closed again.
  await listen(net.createServer(), address)
})
