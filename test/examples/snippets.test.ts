import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { readExample } from '../../scripts/docs.js'
import { deadPort, listen } from '../helpers/net.ts'
import { LINE } from '../helpers/proxy-header.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'
import { ask, backend, folder, get, getAfter, replaced, root, seen, start } from './running.ts'

// Runs every JavaScript file of examples/ with the built package, and sends it requests as a client.

/** Sends several requests over one connection, as browsers do. Returns the backends that answered. */
async function namesOverOneConnection(port: number, paths: readonly string[]): Promise<string[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const names: string[] = []
  for (const path of paths) names.push((await seen({ port, path, agent })).name)
  return names
}

const checks: Record<string, () => Promise<void>> = {
  'embed.js': async () => {
    const { port } = await start('embed.js', { 3001: await backend('blog'), 3002: await backend('shop') })
    const blog = await seen({ port, headers: { host: 'blog.example', 'x-forwarded-for': '6.6.6.6' } })
    expect([blog.name, blog.headers['x-forwarded-for']]).toEqual(['blog', '127.0.0.1'])
    const shop = await ask({ port, headers: { host: 'shop.example' } })
    expect([JSON.parse(shop.text).name, shop.headers['x-frame-options']]).toEqual(['shop', 'DENY'])
  },

  'round-robin.js': async () => {
    const ports = { 3001: await backend('a'), 3002: await backend('b'), 3003: await backend('c') }
    const { port } = await start('round-robin.js', ports)
    const names: string[] = []
    for (let i = 0; i < 6; i++) names.push((await get(port)).body.name)
    expect(names).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  },

  'unix-sockets.js': async () => {
    const directory = folder()
    for (const name of ['blog', 'shop']) {
      await listen(
        http.createServer((_, response) => response.end(name)),
        { path: join(directory, `${name}.sock`) },
      )
    }
    const { port } = await start('unix-sockets.js', { '/tmp': directory })
    for (const name of ['blog', 'shop']) {
      expect((await ask({ port, headers: { host: `${name}.example` } })).text).toBe(name)
    }
  },

  'path-routing.js': async () => {
    const ports = { 3001: await backend('app'), 3002: await backend('static'), 3003: await backend('api') }
    const { port } = await start('path-routing.js', ports)
    const paths = ['/', '/static/x', '/api/x', 'http://a.example/api/x', '/?next=/api/']
    expect(await namesOverOneConnection(port, paths)).toEqual(['app', 'static', 'api', 'api', 'app'])
    const redirects = [
      await ask({ port, path: '/api/old' }),
      await ask({ port, path: '/x', headers: { host: 'a.shop.example' } }),
    ]
    expect(redirects.map(({ status, headers }) => [status, headers.location])).toEqual([
      [308, '/api/new'],
      [308, 'https://shop.example/x'],
    ])
    expect((await ask({ port, path: '/static/..%2fapi' })).status).toBe(400)
  },

  'router.js': async () => {
    const ports = { 3001: await backend('a'), 3002: String(await deadPort()), 3003: await backend('api') }
    const { port } = await start('router.js', ports)
    expect(await namesOverOneConnection(port, ['/', '/', '/x'])).toEqual(['a', 'a', 'a'])
    const { name, url } = await seen({ port, path: '/api/users?x' })
    expect([name, url]).toEqual(['api', '/users?x'])
    const { status, text } = await ask({ port, path: '/%61dmin/x' })
    expect([status, text]).toEqual([403, 'Not from here.\n'])
  },

  'auth.js': async () => {
    const { port } = await start('auth.js', { 3001: await backend('app') })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const { status, headers, text } = await ask({ port, agent, headers: { 'x-user': 'root' } })
    expect([status, headers['www-authenticate'], text]).toEqual([401, 'Basic realm="app"', 'Sign in first.\n'])
    expect((await ask({ port, agent, auth: 'ada:wrong' })).status).toBe(401)
    const { headers: sent } = await seen({ port, agent, auth: 'ada:change me', headers: { 'x-user': 'root' } })
    expect(sent).toMatchObject({ 'x-user': 'ada' })
    expect(sent).not.toHaveProperty('authorization')
  },

  'answers.js': async () => {
    const { port } = await start('answers.js', { 3001: await backend('app'), 1000: '10' })
    expect((await ask({ port, path: '/healthz' })).text).toBe('ok\n')
    const { headers, text } = await ask({ port, path: '/version' })
    expect([headers['content-type'], text]).toEqual(['application/json', '{"version":"1.2.3"}'])
    expect((await seen({ port })).name).toBe('app')
    const clock = http.get({ port, host: '127.0.0.1', path: '/clock', agent: false })
    const [stream] = (await once(clock, 'response')) as [http.IncomingMessage]
    onTestFinished(() => void stream.destroy())
    expect(stream.headers['content-type']).toBe('text/event-stream')
    for (let i = 0; i < 2; i++) expect(String((await once(stream, 'data'))[0])).toMatch(/^data: \d{4}-.*Z\n\n$/)
  },

  'redirect.js': async () => {
    const { port } = await start('redirect.js', { 3001: await backend('app') })
    const { status, headers } = await ask({ port, path: '/a?b', headers: { host: 'shop.example' } })
    expect([status, headers.location]).toEqual([308, 'https://www.shop.example/a?b'])
    expect((await seen({ port, headers: { host: 'www.shop.example' } })).name).toBe('app')
  },

  'connect.js': async () => {
    const target = await backend('behind')
    const { port } = await start('connect.js', { 3001: target, 3002: await backend('app') })
    expect((await seen({ port })).name).toBe('app')
    const request = http.request({ port, host: '127.0.0.1', method: 'CONNECT', path: `127.0.0.1:${target}` }).end()
    const [response, socket] = (await once(request, 'connect')) as [http.IncomingMessage, net.Socket]
    expect(response.statusCode).toBe(200)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(Buffer.concat(await socket.toArray()).toString()).toContain('"name":"behind"')
    const other = http.request({ port, host: '127.0.0.1', method: 'CONNECT', path: '127.0.0.1:1' }).end()
    expect(((await once(other, 'connect')) as [http.IncomingMessage])[0].statusCode).toBe(403)
  },

  'own-stream.js': async () => {
    const relay = `const s = require('node:net').connect(${await backend('far')}); process.stdin.pipe(s).pipe(process.stdout)`
    const { port } = await start('own-stream.js', {
      "'ssh'": JSON.stringify(process.execPath),
      "'-W', '127.0.0.1:3001', 'jump.example'": `'-e', ${JSON.stringify(relay)}`,
    })
    expect((await seen({ port })).name).toBe('far')
  },

  'http-server.js': async () => {
    const { port } = await start('http-server.js', { 3001: await backend('search') })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    expect((await ask({ port, path: '/a', agent })).text).toBe('the app answers /a\n')
    expect((await seen({ port, path: '/search?q=1', agent })).name).toBe('search')
  },

  'dev-server.js': async () => {
    const server = http.createServer((_, response) => response.end(JSON.stringify({ name: 'dev' })))
    new WebSocketServer({ server }).on('connection', (socket) => socket.send('reload'))
    const ports = { 3001: await backend('api'), 5173: String(await listen(server)), localhost: '127.0.0.1' }
    const { port } = await start('dev-server.js', ports)
    expect(await namesOverOneConnection(port, ['/', '/api/x', '/src/main.js'])).toEqual(['dev', 'api', 'dev'])
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, 'vite-hmr')
    onTestFinished(() => socket.terminate())
    expect(String((await once(socket, 'message'))[0])).toBe('reload')
  },

  'sticky.js': async () => {
    const cookie = { 'Set-Cookie': 'sid=1; Path=/; HttpOnly' }
    const ports = {
      3001: await backend('a', cookie),
      3002: await backend('b', cookie),
      3003: await backend('c', cookie),
    }
    const { port } = await start('sticky.js', ports)
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

  'balancer.js': async () => {
    const green = http.createServer((request, response) => response.end(request.url))
    const dead = String(await deadPort())
    const ports = { 3001: dead, 3002: String(await listen(green)), 3003: dead }
    const running = await start('balancer.js', ports)
    expect(await running.printed('blue is down')).toMatch(/^blue is down: .*ECONNREFUSED/m)
    const response = await fetch(`http://127.0.0.1:${running.port}/x`)
    expect([response.status, await response.text()]).toEqual([200, '/x'])
    expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^sticky=[\w-]{16}; Path=\/; HttpOnly$/)])
  },

  'config/routes.json': async () => {
    const file = join(temporaryDirectory(), 'badass.json')
    const ports = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(async (name, i) => [3001 + i, await backend(name)]))
    writeFileSync(file, replaced('config/routes.json', Object.fromEntries(ports)))
    const args = ['dist/cli/main.js', '--listen', '127.0.0.1:0', '--config', file]
    const child = spawn(process.execPath, args, { cwd: root })
    onTestFinished(() => void child.kill('SIGKILL'))
    let told = ''
    child.stderr.on('data', (chunk) => (told += chunk))
    while (!/listening on .*:\d+\//.test(told)) await once(child.stderr, 'data')
    const port = Number(/:(\d+)\//.exec(told)![1])
    expect(['a', 'b']).toContain((await seen({ port })).name)
    expect(['c', 'd']).toContain((await seen({ port, headers: { host: 'api.example.com' } })).name)
    expect(await seen({ port, path: '/static/x' })).toMatchObject({ name: 'e', url: '/x' })
    const redirect = await ask({ port, path: '/old', headers: { host: 'example.com' } })
    expect([redirect.status, redirect.headers.location]).toEqual([308, 'https://example.com/new'])
    expect((await ask({ port, path: '/internal/x' })).status).toBe(404)
  },

  'config/badass.config.js': async () => {
    const file = join(temporaryDirectory(), 'badass.config.js')
    const ports = { 8080: '127.0.0.1:0', 3001: await backend('a'), 3002: await backend('b'), 3003: await backend('c') }
    writeFileSync(file, replaced('config/badass.config.js', ports))
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
    const paths = ['/', '/static/x', `http://127.0.0.1:${port}/static/x`, '/?next=/static/']
    const isStatic = (await namesOverOneConnection(port, paths)).map((name) => name === 'c')
    expect(isStatic).toEqual([false, true, true, false])
  },

  'headers.js': async () => {
    const at = await backend('a', { 'Set-Cookie': 'sid=1' })
    const { port } = await start('headers.js', { 3001: at })
    const { body, headers } = await get(port, '/old/x', { 'x-forwarded-for': '6.6.6.6', 'x-debug': '1' })
    expect(body.url).toBe('/new/x')
    const whole = `http://127.0.0.1:${port}`
    expect((await seen({ port, path: `${whole}/old/x` })).url).toBe(`${whole}/new/x`)
    expect(body.headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1' })
    expect(body.headers).not.toHaveProperty('x-debug')
    expect(headers.get('x-served-by')).toBe(`backend ${at}`)
    expect(headers.getSetCookie()).toEqual(['sid=1', 'seen=1'])
  },

  'failover.js': async () => {
    const dead = String(await deadPort())
    const { port } = await start('failover.js', { 3001: dead, 3002: await backend('spare') })
    expect((await get(port)).body.name).toBe('spare')
    const without = await start('failover.js', { 3001: dead, 3002: String(await deadPort()) })
    const { status, text } = await ask({ port: without.port })
    expect([status, text]).toEqual([503, 'No luck: CONNECT_FAILED\n'])
  },

  'tls.js': async () => {
    const server = https.createServer(certificate(), (_, response) => response.end('over TLS, twice'))
    const { port } = await start('tls.js', { 3443: String(await listen(server)) })
    const request = https.get({ port, host: 'localhost', ca: certificate().cert, agent: false, family: 4 })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(Buffer.concat(await response.toArray()).toString()).toBe('over TLS, twice')
  },

  'behind-proxy.js': async () => {
    const first = await start('behind-proxy.js', { 3001: await backend('a'), ', sendProxy: 2': '' })
    expect((await getAfter(LINE, first.port)).headers['x-client']).toBe('192.0.2.1 5000')
    // Either backend reports it.
    const second = await start('behind-proxy.js', { 3001: String(first.port) })
    expect((await getAfter(LINE, second.port)).headers['x-client']).toBe('192.0.2.1 5000')
  },

  'behind-proxy-tls.js': async () => {
    const running = await start('behind-proxy-tls.js', { 3001: await backend('a') })
    const { headers } = await getAfter(LINE, running.port, (socket) => tls.connect({ socket, ca: certificate().cert }))
    expect(headers['x-client']).toBe('192.0.2.1 5000')
    const client = net.connect(running.port, '127.0.0.1')
    client.on('error', () => undefined).write('GET / HTTP/1.1\r\n\r\n')
    expect(await running.printed('NOT_PROXY')).toMatch(/^127\.0\.0\.1 BAD_PROXY_HEADER: .*: NOT_PROXY/m)
  },

  'every-request.js': async () => {
    const { port } = await start('every-request.js', { 3001: await backend('a') })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    for (const forged of ['9.9.9.9', '8.8.8.8']) {
      const { headers, text } = await ask({ port, agent, headers: { 'X-Forwarded-For': forged } })
      expect(headers.connection).not.toBe('close')
      expect(JSON.parse(text).headers['x-forwarded-for']).toBe('127.0.0.1')
    }
  },

  'events.js': async () => {
    const running = await start('events.js', { 3001: String(await deadPort()) })
    expect((await fetch(`http://127.0.0.1:${running.port}/`)).status).toBe(502)
    const output = await running.printed('still open')
    expect(output).toMatch(/127\.0\.0\.1 connect CONNECT_FAILED: .*ECONNREFUSED/)
    expect(output).toMatch(/\d+ bytes in, \d+ out, 0 still open/)
    running.kill('SIGTERM')
    expect((await running.exited()).code).toBe(0)
  },

  'parser.js': async () => {
    const { code, output } = await (await start('parser.js', {}, false)).exited()
    const promised = [...readExample('parser.js').matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, line]) => line)
    expect(promised).toHaveLength(3)
    expect([code, output]).toEqual([0, `${promised.join('\n')}\n`])
  },
}

const examples = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' }).filter(
  (name) => (name.endsWith('.js') || name === 'config/routes.json') && !name.startsWith('demo'),
)

test('every example has a check here or in a separate file', () => {
  expect(Object.keys(checks).concat('read-requests.js', 'operations/slow.js').sort()).toEqual(examples.sort())
})

test.each(Object.keys(checks))('%s works as documented', async (name) => checks[name]!())
