import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { listen } from './helpers/net.ts'

// Installs the packed package into an empty project, without a registry.

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

let project: string
let installed: string

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'badass-package-'))
  writeFileSync(join(project, 'package.json'), '{ "name": "embedder", "private": true, "type": "module" }')
  // Other tests use dist/, so no script may rebuild it.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], { cwd: root })
  const tarball = readdirSync(project).find((name) => name.endsWith('.tgz'))!
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${tarball}`], { cwd: project })
  installed = join(project, 'node_modules', 'badass')
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  )
}

describe('the installed package', () => {
  test('is the only one, is below 2 MB, and has the licences of the bundled packages', () => {
    expect(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['badass'])
    const files = filesOf(installed)
    const bytes = files.reduce((sum, name) => sum + statSync(join(installed, name)).size, 0)
    expect(bytes).toBeLessThan(2_000_000)
    expect(files.filter((name) => name.endsWith('.map') || name.startsWith('src'))).toEqual([])
    const notices = readFileSync(join(installed, 'THIRD-PARTY-NOTICES'), 'utf8')
    for (const name of ['commander', 'prom-client', 'uplot']) expect(notices).toMatch(new RegExp(`^${name} \\d`, 'm'))
  })

  test('proxies from JavaScript by every entry', async () => {
    const backend = http.createServer((_, response) => response.end('from the backend'))
    const port = await listen(backend)
    const code = `
      import { createServer, createStickyServer, parseHead } from 'badass'
      import { HeadScanner } from 'badass/parser'
      import { createBalancer } from 'badass/sticky'
      import { createRouter } from 'badass/router'
      if (!HeadScanner || !createBalancer || !createStickyServer || !createRouter || !parseHead) throw new Error('an export is missing')
      const proxy = createServer(() => ({ port: ${port}, host: '127.0.0.1' })).listen(0, '127.0.0.1', async () => {
        const response = await fetch('http://127.0.0.1:' + proxy.address().port)
        console.log(await response.text())
        process.exit()
      })`
    writeFileSync(join(project, 'embed.js'), code)
    expect((await run(process.execPath, ['embed.js'], { cwd: project })).stdout).toBe('from the backend\n')
  })

  test('has types that compile without skipLibCheck', async () => {
    const folder = join(project, 'typed')
    mkdirSync(join(folder, 'node_modules'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    for (const name of ['@types', 'undici-types']) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
    }
    const code = `
      import { createServer, type ClientInfo, type Dest, type Head } from 'badass'
      export const lookup = (head: Head, client: ClientInfo): Dest =>
        head.headers.host === client.remoteAddress ? { port: 1 } : { path: '/run/app.sock' }
      export const proxy = createServer({ lookup, headTimeout: 5 })
      // @ts-expect-error a port is a number
      export const wrong: Dest = { port: '1' }`
    writeFileSync(join(folder, 'embed.ts'), code)
    const options = [
      '--strict',
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      'embed.ts',
    ]
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options], { cwd: folder })
  })

  test.each(['1', '2'])('runs the command with an admin page, and %s workers', async (workers) => {
    const backend = http.createServer((_, response) => response.end('from the backend'))
    const port = await listen(backend)
    // A hook has the same classes as the command, whichever entry it imports them from.
    const config = `
      import { Head, HeadScanner } from 'badass'
      import * as parser from 'badass/parser'
      export function lookup(head) {
        if (!(head instanceof Head) || HeadScanner !== parser.HeadScanner) throw new Error('not the same classes')
      }`
    const file = join(project, 'badass.mjs')
    writeFileSync(file, config)
    const args = ['--listen', '127.0.0.1:0', '--admin', '0', '--workers', workers, '--config', file, String(port)]
    const child = spawn(join(project, 'node_modules/.bin/badass'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let told = ''
    child.stderr.on('data', (chunk) => {
      told += chunk
    })
    while (!told.includes('admin page on')) await once(child.stderr, 'data')
    const [, url, admin] = /listening on (\S+)\n.*admin page on ([^#\s]+)/s.exec(told)!
    expect(await (await fetch(url!)).text()).toBe('from the backend')
    for (const path of ['', 'static/page.js', 'static/uplot.js', 'static/uplot.css', 'metrics', 'healthz']) {
      expect((await fetch(`${admin}${path}`)).status, path).toBe(200)
    }
    child.kill('SIGTERM')
    expect((await once(child, 'close'))[0]).toBe(0)
  })
})
