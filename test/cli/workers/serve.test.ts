import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect, test } from 'vitest'
import { listen } from '../../helpers/net.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'
import { turn } from '../../helpers/turns.ts'
import { Command } from '../command.ts'
import { type Got, get, startBackend } from '../service/support.ts'
import { byTwo, pidOf, pidsOf, startTwo, untilServedBy } from './support.ts'

test('two workers serve on one port chosen by the system, and the primary serves no clients', async () => {
  const { command, port } = await startTwo({ backends: [await startBackend()], log: 'text' })
  const all = await untilServedBy(byTwo, port)
  expect(all.map(pidOf)).not.toContain(command.pid)
  expect(command.stderr).toBe(
    'badass: reading every request (--requests every)\n' +
      `badass: listening on http://127.0.0.1:${port}/\nbadass: 2 workers serve\n`,
  )
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(command.stdout.split(' ok\n')).toHaveLength(all.length + 1)
})

test('the workers accept connections while the primary is stopped', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const { command, port } = await startTwo({
    backends: [await startBackend()],
    listen: ['127.0.0.1:0', `unix:${path}`],
  })
  command.signal('SIGSTOP')
  for (const to of [port, { socketPath: path }]) await pidsOf(to)
  command.signal('SIGCONT')
})

test('serves a config without hooks', async () => {
  const { port: backend } = await startBackend()
  const command = Command.start('--listen', '127.0.0.1:0', '--workers', '2', `${backend},max-connections=1`)
  expect((await get(await command.port())).id).toBe('a')
})

test.each([false, true])(
  'a sticky client reaches its backend through any worker; with a secret: %j',
  async (hasSecret) => {
    const secretFile = join(temporaryDirectory(), 'secret')
    writeFileSync(secretFile, 'a secret\n')
    const backends = await Promise.all(['a', 'b', 'c'].map((id) => startBackend(id)))
    const { port } = await startTwo({ backends, sticky: true, ...(hasSecret && { secretFile }) })
    const first = await get(port)
    const cookie = first.cookies[0]!.split(';')[0]!
    const counts = new Map<number, number>()
    while (counts.size < 2 || Math.min(...counts.values()) < 5) {
      const again = await get(port, { cookie })
      expect(again.id).toBe(first.id)
      counts.set(pidOf(again), (counts.get(pidOf(again)) ?? 0) + 1)
    }
  },
)

test('a command that ends leaves the socket file of its successor alone', async () => {
  const directory = temporaryDirectory()
  const path = join(directory, 'x.sock')
  const start = async () => {
    const { command } = await startTwo({ backends: [await startBackend()], listen: [`unix:${path}`, '127.0.0.1:0'] })
    return command
  }
  const old = await start()
  rmSync(path)
  const successor = await start()
  const pids = await pidsOf({ socketPath: path })
  old.signal('SIGTERM')
  expect(await old.exited).toBe(0)
  expect(await pidsOf({ socketPath: path })).toEqual(pids)
  successor.signal('SIGTERM')
  expect(await successor.exited).toBe(0)
  expect(readdirSync(directory)).toEqual([])
})

test('a Unix socket is served again after all workers were killed', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const { command } = await startTwo({ backends: [await startBackend()], listen: [`unix:${path}`, '127.0.0.1:0'] })
  for (const pid of await pidsOf({ socketPath: path })) process.kill(pid, 'SIGKILL')
  await command.said('; replacing it', 2)
  for (;;) {
    const got = await get({ socketPath: path }).catch(() => undefined)
    if (got) break
    await turn()
  }
  await pidsOf({ socketPath: path })
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(existsSync(path)).toBe(false)
})

test('both workers serve a Unix socket, which is removed at the end', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const { command } = await startTwo({ backends: [await startBackend()], listen: [`unix:${path}`, '127.0.0.1:0'] })
  await pidsOf({ socketPath: path })
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  expect(existsSync(path)).toBe(false)
})

/** Sends a request over TLS. Returns the answer, and the session if it is new. */
async function askOverTls(port: number, session?: Buffer): Promise<Got & { isReused: boolean; session: Buffer }> {
  const socket = tls.connect({ port, host: '127.0.0.1', ca: certificate().cert, ...(session && { session }) })
  let latest = session
  let isReused = false
  socket.on('secureConnect', () => {
    isReused = socket.isSessionReused()
  })
  socket.on('session', (one) => {
    latest = one
  })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk
  const [, body = ''] = text.split('\r\n\r\n')
  const seen = JSON.parse(/\{.*\}/s.exec(body)![0])
  return { status: 200, cookies: [], ...seen, isReused, session: latest! }
}

test('other workers, later ones included, resume a TLS session', async () => {
  const directory = temporaryDirectory()
  const [cert, key] = [join(directory, 'c.pem'), join(directory, 'k.pem')]
  writeFileSync(cert, certificate().cert)
  writeFileSync(key, certificate().key)
  const { command, port } = await startTwo({ backends: [await startBackend()], tls: { cert, key } })
  const first = await askOverTls(port)
  expect(first.isReused).toBe(false)
  const resume = async () => {
    const again = await askOverTls(port, first.session)
    expect(again.isReused).toBe(true)
    return again
  }
  const [a, b] = await pidsOf(resume)
  process.kill(a, 'SIGKILL')
  await command.said('replacing it')
  const all = await untilServedBy((pids) => pids.size === 2 && pids.has(b), resume)
  expect(all.map(pidOf)).not.toContain(a)
})

test('reports an address in use in one line with exit code 1, even if it could be shared', async () => {
  const { port: backend } = await startBackend()
  const { port } = await startTwo({ backends: [backend] })
  for (const taken of [port, await listen(createServer())]) {
    const command = Command.start('--listen', `127.0.0.1:${taken}`, '--workers', '2', String(backend))
    expect(await command.exited).toBe(1)
    expect(command.stderr).toBe(`badass: cannot listen on 127.0.0.1:${taken}: the address is in use\n`)
  }
})
