import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { Service } from '../../../src/cli/service/service.ts'
import { listen, ownHost } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { configOf, get, startBackend, startService } from './support.ts'

/** Number of clients at a time: fewer than the backlog. */
const WAITING = 200

expectNoWarnings()

/** The file of a socket whose process has ended. */
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

test('replaces the socket file of an ended process, and removes its own at the end', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  await leaveBehind(path)
  const { service } = await startService({ backends: [await startBackend()], listen: [{ path }] })
  expect((await get({ socketPath: path })).id).toBe('a')
  await service.drain()
  expect(existsSync(path)).toBe(false)
})

test('refuses and keeps a socket on which another process listens', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const server = net.createServer((socket) => socket.on('error', () => undefined).end('alive'))
  await listen(server, { path })
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: another process listens there`)
  const client = net.connect(path)
  expect((await once(client, 'data')).toString()).toBe('alive')
})

test('refuses and keeps a file that is not a socket', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  writeFileSync(path, 'precious')
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: the file is not a socket`)
  expect(readFileSync(path, 'utf8')).toBe('precious')
  const link = `${path}.link`
  symlinkSync(path, link)
  expect(await refusal({ path: link })).toBe(`cannot listen on unix:${link}: the file is not a socket`)
})

test('refuses a path that Node would truncate', async () => {
  const path = join(temporaryDirectory(), 'x'.repeat(100))
  const most = process.platform === 'linux' ? 107 : 103
  expect(await refusal({ path })).toBe(`cannot listen on unix:${path}: the path is longer than ${most} bytes`)
})

test.each([
  [{ path: '/nowhere/x.sock' }, 'unix:/nowhere/x.sock: no such directory'],
  [{ port: 0, host: '192.0.2.1' }, '192.0.2.1:0: this machine has no such address'],
])('cannot listen on %j', async (address, reason) => {
  expect(await refusal(address)).toBe(`cannot listen on ${reason}`)
})

test('reports an address that is listed twice in one line', async () => {
  const server = net.createServer()
  const port = await listen(server, { port: 0, host: ownHost })
  await new Promise((resolve) => server.close(resolve))
  const address = { port, host: ownHost }
  const io = { say: () => undefined, log: () => undefined }
  await expect(Service.start(configOf({ listen: [address, address] }), io)).rejects.toThrow(
    new Error(`cannot listen on ${ownHost}:${port}: the address is in use`),
  )
  // The listeners before it are closed again.
  await listen(net.createServer(), address)
})

test('serves all clients that wait in the kernel when a drain starts', async () => {
  const { port: backend } = await startBackend()
  const { service, port } = await startService({ backends: [{ port: backend }] })
  // In another thread, so that they connect while this one is busy.
  const connected = new Int32Array(new SharedArrayBuffer(4))
  const clients = new Worker(
    `const { workerData: { port, count, connected }, parentPort } = require('node:worker_threads')
    const net = require('node:net')
    for (let i = 0; i < count; i++) {
      let text = ''
      net.connect(port, '127.0.0.1', () => Atomics.add(connected, 0, 1) === count - 1 && Atomics.notify(connected, 0))
        .on('data', (chunk) => { text += chunk })
        .on('error', (error) => { text = error.code })
        .on('close', () => parentPort.postMessage(text.split('\\r\\n')[0]))
        .write('GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')
    }`,
    { eval: true, workerData: { port, count: WAITING, connected } },
  )
  onTestFinished(() => void clients.terminate())
  await once(clients, 'online')
  while (Atomics.load(connected, 0) < WAITING) Atomics.wait(connected, 0, Atomics.load(connected, 0), 1_000)
  const drained = service.drain()
  const answers: string[] = []
  clients.on('message', (text) => answers.push(text))
  while (answers.length < WAITING) await once(clients, 'message')
  expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 200 OK']))
  await drained
})
