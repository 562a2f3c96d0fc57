import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { LogFile } from '../../src/cli/service/log-file.ts'
import { keepAliveAgent, send } from '../helpers/http.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { turn } from '../helpers/turns.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

/** A folder whose changes a test can await. */
class Folder {
  readonly path = temporaryDirectory()
  #wake: () => void = () => undefined

  constructor() {
    const changes = watch(this.path, () => this.#wake())
    onTestFinished(() => changes.close())
  }

  of(name: string): string {
    return join(this.path, name)
  }

  read(name: string): string {
    return existsSync(this.of(name)) ? readFileSync(this.of(name), 'utf8') : ''
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

async function start(folder: Folder, ...options: readonly string[]) {
  const { port: backend } = await startBackend()
  const log = ['--requests', 'every', '--log-file', folder.of('access.log')]
  const command = Command.start('--listen', '127.0.0.1:0', ...log, ...options, String(backend))
  const port = await command.port()
  const ask = (path: string, headers: http.OutgoingHttpHeaders = {}) =>
    send(http.get({ port, path, headers, host: '127.0.0.1', agent: false }))
  return { command, port, ask }
}

const count = (text: string) => text.split('\n').length - 1

describe.each([1, 2])('--log-file; workers: %i', (workers) => {
  test('one SIGTERM ends the command, even if nobody reads the pipe that it writes to', async () => {
    const folder = new Folder()
    execFileSync('/usr/bin/mkfifo', [folder.of('access.log')])
    const reader = openSync(folder.of('access.log'), constants.O_RDONLY | constants.O_NONBLOCK)
    onTestFinished(() => closeSync(reader))
    const { command, ask } = await start(folder, '--workers', String(workers))
    // More than a pipe holds.
    for (let i = 0; i < 150; i++) await ask(`/${'x'.repeat(1_000)}`)
    command.signal('SIGTERM')
    expect([0, 'SIGTERM']).toContain(await command.exited)
  })

  test('one SIGTERM ends the command, even if it opens a pipe that nobody reads', async () => {
    const folder = new Folder()
    const { command, ask } = await start(folder, '--workers', String(workers))
    renameSync(folder.of('access.log'), folder.of('old.log'))
    execFileSync('/usr/bin/mkfifo', [folder.of('access.log')])
    command.signal('SIGUSR1')
    await ask('/')
    command.signal('SIGTERM')
    expect([0, 'SIGTERM']).toContain(await command.exited)
  })

  test('is opened again by SIGUSR1, and no line is lost', async () => {
    const folder = new Folder()
    const { command, port } = await start(folder, '--workers', String(workers))
    // Text is the default.
    expect(statSync(folder.of('access.log')).mode & 0o777).toBe(0o640 & ~process.umask())
    let isOver = false
    let sent = 0
    const clients = Array.from({ length: 4 }, async () => {
      const agent = keepAliveAgent(1)
      for (; !isOver; sent++) await send(http.get({ port, agent, path: '/busy', host: '127.0.0.1' }))
    })
    for (let i = 1; i <= 3; i++) {
      await folder.until(() => count(folder.read('access.log')) > 10)
      renameSync(folder.of('access.log'), folder.of(`access.log.${i}`))
      command.signal('SIGUSR1')
    }
    await folder.until(() => count(folder.read('access.log')) > 10)
    isOver = true
    await Promise.all(clients)
    command.signal('SIGTERM')
    expect(await command.exited).toBe(0)
    const texts = readdirSync(folder.path).map((name) => folder.read(name))
    expect(texts).toHaveLength(4)
    const lines = texts.flatMap((text) => text.split('\n').filter((line) => line !== ''))
    for (const line of lines) expect(line).toMatch(/"GET \/busy HTTP\/1\.1" 200 default \S+ \S+ms \d+\/\d+ \+0 - ok$/)
    expect(lines).toHaveLength(sent)
  })
})

test('a log file that cannot be opened ends the start, or the reload, with a line', async () => {
  const folder = new Folder()
  const { port: backend } = await startBackend()
  const config = folder.of('badass.json')
  const write = (logFile: string) =>
    writeFileSync(config, JSON.stringify({ listen: '127.0.0.1:0', backends: [backend], logFile }))
  write('none/access.log')
  const failed = Command.start('--config', config)
  expect(await failed.exited).toBe(1)
  expect(failed.stderr).toContain(
    `badass: --log-file: cannot open ${folder.of('none/access.log')}: no such directory\n`,
  )
  write('access.log')
  const command = Command.start('--config', config)
  await command.port()
  mkdirSync(folder.of('folder'))
  write('folder')
  command.signal('SIGHUP')
  await command.said(`badass: not reloaded: --log-file: cannot open ${folder.of('folder')}: it is a directory\n`)
  // The old file is gone, and its place is taken.
  renameSync(folder.of('access.log'), folder.of('access.log.1'))
  mkdirSync(folder.of('access.log'))
  command.signal('SIGUSR1')
  await command.said('it is a directory; still writing to the old file\n')
})

test('goes on after an error of the disk', async () => {
  const folder = new Folder()
  const said: string[] = []
  const log = await LogFile.open('/dev/full', (line) => void said.push(line))
  const file = await LogFile.open(folder.of('access.log'), (line) => void said.push(line))
  log.write('lost')
  await log.close()
  expect(said).toEqual([expect.stringMatching(/^the access log cannot be written: ENOSPC/)])
  const handle = await open(folder.of('other'), 'w')
  const append = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'appendFile')
  onTestFinished(() => append.mockRestore())
  append.mockRejectedValueOnce(Object.assign(new Error('full'), { code: 'EIO' }))
  file.write('lost')
  while (said.length < 2) await turn()
  file.write('kept')
  await file.close()
  await handle.close()
  expect(folder.read('access.log')).toBe('kept\n')
})

const LOGROTATE = '/usr/sbin/logrotate'
const GOACCESS = '/usr/bin/goaccess'
const has = (program: string) => Boolean(process.env.CI) || existsSync(program)

test.runIf(has(LOGROTATE))('logrotate rotates it', async () => {
  const folder = new Folder()
  const { command, ask } = await start(folder)
  const config = folder.of('logrotate.conf')
  const rules = 'rotate 3\nmissingok\npostrotate\nkill -USR1'
  writeFileSync(config, `"${folder.of('access.log')}" {\n${rules} ${command.pid}\nendscript\n}\n`, { mode: 0o644 })
  const lines = () => readdirSync(folder.path).reduce((sum, name) => sum + count(folder.read(name)), 0)
  /** Asks until the new file has the line: badass still writes to the old one for a moment. */
  const log = async (path: string) => {
    while (!folder.read('access.log').includes(`${path} `)) {
      const before = lines()
      await ask(path)
      await folder.until(() => lines() > before)
    }
  }
  for (let i = 1; i <= 2; i++) {
    await log(`/${i}`)
    execFileSync(LOGROTATE, ['--force', '--state', folder.of('state'), config])
    await folder.until(() => existsSync(folder.of('access.log')))
  }
  await log('/3')
  const logs = ['access.log.2', 'access.log.1', 'access.log'].map((name) => /GET (\S+)/.exec(folder.read(name))?.[1])
  expect(logs).toEqual(['/1', '/2', '/3'])
})

test.runIf(has(GOACCESS))('goaccess reads the combined format', async () => {
  const folder = new Folder()
  const { command, ask } = await start(folder, '--log', 'combined')
  const headers = { referer: 'http://a.example/"x"', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0' }
  for (const path of ['/one', '/one', '/two?a=b']) await ask(path, headers)
  command.signal('SIGTERM')
  expect(await command.exited).toBe(0)
  const [line] = folder.read('access.log').split('\n')
  const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`
  expect(line).toMatch(new RegExp(`^127\\.0\\.0\\.1 - - ${time} "GET /one HTTP/1\\.1" 200 \\d+ "http://a\\.example/`))
  const report = folder.of('report.json')
  execFileSync(GOACCESS, [folder.of('access.log'), '--log-format=COMBINED', '-o', report, '--no-global-config'], {
    stdio: 'ignore',
  })
  const { general, requests } = JSON.parse(readFileSync(report, 'utf8'))
  expect(general).toMatchObject({ valid_requests: 3, failed_requests: 0 })
  expect(requests.data.map(({ data }: { data: string }) => data).sort()).toEqual(['/one', '/two?a=b'])
})
