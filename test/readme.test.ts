import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { dirname, join } from 'node:path'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type BalancerOptions, createBalancer } from '../src/index.ts'
import { headErrorCodes } from '../src/parser/index.ts'
import { OPTION_RULES, proxyErrorCodes, proxyHeaderErrorCodes } from '../src/proxy/index.ts'
import { deadPort, listen } from './helpers/net.ts'
import { LINE } from './helpers/proxy-header.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { certificate } from './helpers/tls.ts'

// Runs every snippet of the README against the built package, and holds its tables against the code.

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const snippets = new Map(
  [...readme.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name!, code!]),
)

/** A running snippet: the port that it listens on, and what it printed. */
interface Running {
  port: number
  /** Resolves with what it printed so far once that includes the text. */
  printed(text: string): Promise<string>
  /** Resolves with its exit code and all that it printed. */
  exited(): Promise<{ code: number | null; output: string }>
  kill(signal: NodeJS.Signals): void
}

/** Starts a snippet with `replace` done to it, in a directory of its own inside the package, so that it finds itself. */
async function run(name: string, replace: Record<string, string> = {}, listens = true): Promise<Running> {
  mkdirSync(join(root, 'dist'), { recursive: true })
  const directory = mkdtempSync(join(root, 'dist', 'readme-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const code = replaced(snippets.get(name)!, replace)
  const file = join(directory, name.replace(/\.js$/, '.mjs'))
  writeFileSync(file, code)
  const { key, cert } = certificate()
  writeFileSync(join(directory, 'key.pem'), key)
  writeFileSync(join(directory, 'cert.pem'), cert)

  const preload = join(root, 'test', 'helpers', 'listen-anywhere.mjs')
  const child = fork(file, { cwd: directory, execArgv: ['--import', preload], silent: true })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
  const exit = once(child, 'close') as Promise<[number | null]>
  const port = listens
    ? await Promise.race([once(child, 'message').then(([at]) => at as number), exit.then(() => 0)])
    : 0
  if (listens) expect(port, output).toBeGreaterThan(0)
  return {
    port,
    printed: async (text) => {
      while (!output.includes(text)) await Promise.race([once(child.stdout!, 'data'), once(child.stderr!, 'data')])
      return output
    },
    exited: async () => ({ code: (await exit)[0], output }),
    kill: (signal) => child.kill(signal),
  }
}

function replaced(code: string, replace: Record<string, string>): string {
  for (const [from, to] of Object.entries(replace)) {
    expect(code).toContain(from)
    code = code.replaceAll(from, to)
  }
  return code
}

/** A backend that answers with its name and what it saw. */
async function backend(name: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
  const server = http.createServer((request, response) => {
    response.writeHead(200, headers)
    response.end(JSON.stringify({ name, url: request.url, headers: request.headers }))
  })
  return String(await listen(server))
}

interface Answer {
  status: number
  headers: Headers
  body: { name: string; url: string; headers: Record<string, string> }
}

async function get(port: number, path = '/', headers: Record<string, string> = {}): Promise<Answer> {
  // Each request on a connection of its own, so that each passes the hooks.
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...headers, connection: 'close' } })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

const checks: Record<string, () => Promise<void>> = {
  'balancer.js': async () => {
    const ports = { 3001: await backend('a'), 3002: await backend('b'), 3003: await backend('c') }
    const { port } = await run('balancer.js', ports)
    const names: string[] = []
    for (let i = 0; i < 6; i++) names.push((await get(port)).body.name)
    expect(names).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  },

  'unix.js': async () => {
    const directory = mkdtempSync(join(root, 'dist', 'readme-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    for (const name of ['blog', 'shop']) {
      await listen(
        http.createServer((_, response) => response.end(name)),
        { path: join(directory, `${name}.sock`) },
      )
    }
    const { port } = await run('unix.js', { '/tmp': directory })
    expect(await text(port, 'blog.example')).toBe('blog')
    expect(await text(port, 'shop.example')).toBe('shop')
  },

  'sticky.js': async () => {
    const cookie = { 'Set-Cookie': 'sid=1; Path=/; HttpOnly' }
    const ports = {
      3001: await backend('a', cookie),
      3002: await backend('b', cookie),
      3003: await backend('c', cookie),
    }
    const { port } = await run('sticky.js', ports)
    const first = await get(port)
    const [app, home] = first.headers.getSetCookie()
    expect(app).toBe('sid=1; Path=/; HttpOnly')
    expect(home).toMatch(new RegExp(`^home=${first.body.name}\\.[\\w-]+; Path=/; HttpOnly$`))
    for (let i = 0; i < 6; i++) {
      const again = await get(port, '/', { cookie: `sid=1; ${home!.split(';')[0]}` })
      expect(again.body.name).toBe(first.body.name)
      expect(again.body.headers.cookie).toBe('sid=1')
    }
  },

  'health.js': async () => {
    const healthy: http.RequestListener = (request, response) => response.end(request.url)
    const green = http.createServer(healthy)
    const dead = String(await deadPort())
    const ports = { 3001: dead, 3002: String(await listen(green)), 3003: dead }
    const running = await run('health.js', ports)
    expect(await running.printed('blue is down')).toMatch(/^blue is down: .*ECONNREFUSED/m)
    const response = await fetch(`http://127.0.0.1:${running.port}/x`)
    expect([response.status, await response.text()]).toEqual([200, '/x'])
    expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^sticky=[\w-]{16}; Path=\/; HttpOnly$/)])
  },

  'badass.config.js': async () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'badass.config.js')
    const ports = { 8080: '127.0.0.1:0', 3001: await backend('a'), 3002: await backend('b'), 3003: await backend('c') }
    writeFileSync(file, replaced(snippets.get('badass.config.js')!, ports))
    const child = spawn(process.execPath, ['dist/cli/main.js', '--config', file], { cwd: root })
    onTestFinished(() => void child.kill('SIGKILL'))
    let told = ''
    child.stderr.on('data', (chunk) => (told += chunk))
    while (!/listening on .*:\d+\//.test(told)) await once(child.stderr, 'data')
    const port = Number(/:(\d+)\//.exec(told)![1])
    const first = await get(port)
    expect(['a', 'b']).toContain(first.body.name)
    expect(first.body.headers['x-client']).toBe('127.0.0.1')
    expect(first.headers.get('x-frame-options')).toBe('DENY')
    expect(first.headers.getSetCookie()).toEqual([expect.stringMatching(/^sticky=/)])
    expect((await get(port, '/static/x')).body.name).toBe('c')
  },

  'headers.js': async () => {
    const at = await backend('a', { 'Set-Cookie': 'sid=1' })
    const { port } = await run('headers.js', { 3001: at })
    const { body, headers } = await get(port, '/old/x', { 'x-forwarded-for': '6.6.6.6', 'x-debug': '1' })
    expect(body.url).toBe('/new/x')
    expect(body.headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1' })
    expect(body.headers).not.toHaveProperty('x-debug')
    expect(headers.get('x-served-by')).toBe(`backend ${at}`)
    expect(headers.getSetCookie()).toEqual(['sid=1', 'seen=1'])
  },

  'errors.js': async () => {
    const dead = String(await deadPort())
    const { port } = await run('errors.js', { 3001: dead, 3002: await backend('spare') })
    expect((await get(port)).body.name).toBe('spare')
    const without = await run('errors.js', { 3001: dead, 3002: String(await deadPort()) })
    const response = await fetch(`http://127.0.0.1:${without.port}/`)
    expect([response.status, await response.text()]).toEqual([503, 'No luck: CONNECT_FAILED\n'])
  },

  'tls.js': async () => {
    const server = https.createServer(certificate(), (_, response) => response.end('over TLS, twice'))
    const { port } = await run('tls.js', { 3443: String(await listen(server)) })
    const request = https.get({ port, host: 'localhost', ca: certificate().cert, agent: false, family: 4 })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(Buffer.concat(await response.toArray()).toString()).toBe('over TLS, twice')
  },

  'behind.js': async () => {
    const first = await run('behind.js', { 3001: await backend('a'), ', sendProxy: 2': '' })
    expect((await getAfter(LINE, first.port)).headers['x-client']).toBe('192.0.2.1 5000')
    // One tells the other.
    const second = await run('behind.js', { 3001: String(first.port) })
    expect((await getAfter(LINE, second.port)).headers['x-client']).toBe('192.0.2.1 5000')
  },

  'behind-tls.js': async () => {
    const running = await run('behind-tls.js', { 3001: await backend('a') })
    const { headers } = await getAfter(LINE, running.port, (socket) => tls.connect({ socket, ca: certificate().cert }))
    expect(headers['x-client']).toBe('192.0.2.1 5000')
    const client = net.connect(running.port, '127.0.0.1')
    client.on('error', () => undefined).write('GET / HTTP/1.1\r\n\r\n')
    await running.printed('127.0.0.1 BAD_PROXY_HEADER: the PROXY header was refused: NOT_PROXY')
  },

  'every-request.js': async () => {
    const { port } = await run('every-request.js', { 3001: await backend('a') })
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect(response.headers.get('connection')).toBe('close')
  },

  'watch.js': async () => {
    const running = await run('watch.js', { 3001: String(await deadPort()) })
    expect((await fetch(`http://127.0.0.1:${running.port}/`)).status).toBe(502)
    const output = await running.printed('still open')
    expect(output).toMatch(/127\.0\.0\.1 connect CONNECT_FAILED: .*ECONNREFUSED/)
    expect(output).toMatch(/\d+ bytes in, \d+ out, 0 still open/)
    running.kill('SIGTERM')
    expect((await running.exited()).code).toBe(0)
  },

  'parser.js': async () => {
    const { code, output } = await (await run('parser.js', {}, false)).exited()
    const promised = [...snippets.get('parser.js')!.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, line]) => line)
    expect(promised).toHaveLength(3)
    expect([code, output]).toEqual([0, `${promised.join('\n')}\n`])
  },
}

/** What a backend saw of a request that comes after a PROXY header. */
async function getAfter(
  header: string,
  port: number,
  secured: (socket: net.Socket) => net.Socket = (socket) => socket,
): Promise<Answer['body']> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(header)
  const over = secured(socket)
  over.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let answer = ''
  for await (const chunk of over) answer += chunk
  return JSON.parse(/\{.*\}/.exec(answer)![0])
}

async function text(port: number, host: string): Promise<string> {
  const request = http.get({ port, host: '127.0.0.1', headers: { host }, agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return Buffer.concat(await response.toArray()).toString()
}

describe('README', () => {
  test('every snippet of code has a name and a check here', () => {
    expect(readme.match(/^```js$/gm)).toHaveLength(snippets.size)
    expect([...snippets.keys()].sort()).toEqual(Object.keys(checks).sort())
  })

  test.each(Object.keys(checks))('%s does what it says', async (name) => checks[name]!())

  test('lists every option with its default', () => {
    const rows = tableOf('| option | default | meaning |')
    const options = Object.entries(OPTION_RULES).filter(([name]) => !['lookup', 'modify', 'errback'].includes(name))
    expect(Object.fromEntries(rows.map(([name, byDefault]) => [name, byDefault]))).toEqual(
      Object.fromEntries(options.map(([name, { byDefault = 'none' }]) => [name, String(byDefault)])),
    )
  })

  test('lists every option of a balancer', () => {
    const unknown = () => createBalancer({ nothing: 1 } as BalancerOptions)
    const names = tableOf('| balancer option | default | meaning |').map(([name]) => name)
    expect(unknown).toThrow(`nothing: is no option; takes ${names.join(', ')}`)
  })

  test('lists every code of an error with its status and meaning', () => {
    const expected = [...Object.entries(proxyErrorCodes), ...Object.entries(headErrorCodes)].map(
      ([code, [status, meaning]]) => [code, code === 'BAD_HEAD' ? '400, 431' : String(status ?? ''), meaning],
    )
    const [proxy, head] = readme.split('The cause of `BAD_HEAD`')
    const header = '| code | status | meaning |'
    expect([...tableOf(header, proxy), ...tableOf(header, head)]).toEqual(expected)
    expect(tableOf('| PROXY header code | meaning |')).toEqual(Object.entries(proxyHeaderErrorCodes))
  })

  test('names for each thing withstood what shows it, and the figures of the soak that was kept', () => {
    const rows = tableOf('| what | came of it | shown by |')
    expect(rows.length).toBeGreaterThan(10)
    for (const [what, figures, by] of rows) {
      if (by === 'npm run soak') {
        const { connections, mismatches, backends } = JSON.parse(
          readFileSync(join(root, 'bench', 'results', 'soak.json'), 'utf8'),
        )
        expect(what).toContain(`${backends.kills} backends killed`)
        expect(figures).toContain(`${connections.toLocaleString('en')} connections`)
        expect(figures).toContain(`${mismatches} mismatches`)
      } else {
        for (const file of by!.split(', ')) expect(existsSync(join(root, file)), file).toBe(true)
      }
    }
  })
})

/** The cells of the first table with that header, without code marks. */
function tableOf(header: string, text = readme): string[][] {
  const [, ...lines] = text.slice(text.indexOf(header)).split('\n\n', 1)[0]!.split('\n')
  return lines.slice(1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}
