import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { listen } from '../helpers/net.ts'

// Runs the demo as `npm start` does: the built program in a separate process.

interface Demo {
  /** Resolves when stderr includes the text. */
  said: (text: string) => Promise<string>
  output: () => string
  /** Resolves with the address from the output. */
  address: () => Promise<string>
  exited: Promise<number | NodeJS.Signals>
  signal: (name: NodeJS.Signals) => void
}

function start(port: string | number): Demo {
  const env = { ...process.env, PORT: String(port), ADMIN_PORT: '0' }
  const child = spawn(process.execPath, ['examples/demo/main.js'], { env })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  let told = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    told += chunk
  })
  const said = async (text: string) => {
    while (!told.includes(text)) await once(child.stderr, 'data')
    return told
  }
  return {
    said,
    output: () => output,
    address: async () => /listening on (http:\S+)/.exec(await said('admin page on'))![1]!,
    exited: once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals),
    signal: (name) => child.kill(name),
  }
}

async function visit(url: string, cookie = '') {
  const response = await fetch(url, { headers: cookie ? { cookie } : {} })
  const page = await response.text()
  const shown = (pattern: RegExp) => pattern.exec(page)?.[1]
  return {
    cookies: response.headers.getSetCookie(),
    home: shown(/<b id="backend">(\w+)</),
    visits: shown(/remembers<\/dt><dd>(\d+)</),
    seen: shown(/sees<\/dt><dd>([^<]*)</),
  }
}

test("keeps a visitor's backend over reloads and for the WebSocket, until the cookie is deleted", async () => {
  const demo = start(0)
  const url = await demo.address()
  const first = await visit(url)
  expect(['crimson', 'emerald', 'sapphire']).toContain(first.home)
  expect(first.cookies).toHaveLength(2)
  expect(first.visits).toBe('1')
  const jar = first.cookies.map((cookie) => cookie.split(';')[0]).join('; ')
  for (const visits of ['2', '3', '4', '5']) {
    // The backend sees its own cookie, and not the sticky cookie.
    const seen = first.cookies[0]!.split(';')[0]
    expect(await visit(url, jar)).toEqual({ cookies: [], home: first.home, visits, seen })
  }

  const socket = new WebSocket(`${url.replace('http', 'ws')}echo`, { headers: { cookie: jar } })
  const messages: string[] = []
  socket.on('message', (data) => messages.push(data.toString()))
  await once(socket, 'open')
  for (const text of ['one', 'two']) socket.send(text)
  while (messages.length < 3) await once(socket, 'message')
  const backend = first.home
  expect(messages.map((text) => JSON.parse(text))).toEqual([
    { backend },
    { backend, echo: 'one' },
    { backend, echo: 'two' },
  ])

  const forgotten = await fetch(`${url}forget`, { method: 'POST', headers: { cookie: jar } })
  expect(forgotten.headers.getSetCookie()).toEqual([
    'session=; Path=/; HttpOnly; Max-Age=0',
    expect.stringMatching(/^sticky=.*; Path=\/; HttpOnly; Max-Age=0$/),
  ])

  const closed = once(socket, 'close')
  demo.signal('SIGINT')
  expect((await closed)[0]).toBe(1001)
  expect(await demo.exited).toBe(0)
  expect(demo.output()).toBe('badass demo: three backends behind the address below; Ctrl-C ends it\n')
  expect(await demo.said('')).not.toContain('keeps the process')
})

test('Ctrl-C in a terminal ends it with 0, also below the shell that npm starts', async () => {
  const env = { ...process.env, PORT: '0', ADMIN_PORT: '0', SHELL: '/bin/sh' }
  const terminal = spawn('script', ['-qec', `${process.execPath} examples/demo/main.js`, '/dev/null'], { env })
  onTestFinished(() => void terminal.kill('SIGKILL'))
  let output = ''
  terminal.stdout.on('data', (chunk) => {
    output += chunk
  })
  while (!output.includes('admin page on')) await once(terminal.stdout, 'data')
  terminal.stdin.write('\x03')
  expect((await once(terminal, 'close'))[0]).toBe(0)
  expect(output).toContain('draining')
})

test('answers its routes without a backend', async () => {
  const url = await start(0).address()
  const hello = await fetch(`${url}hello`)
  expect([hello.status, await hello.text()]).toEqual([200, 'Hello from badass: no backend was asked.\n'])
  const old = await fetch(`${url}old`, { redirect: 'manual' })
  expect([old.status, old.headers.get('location')]).toEqual([308, '/'])
})

test('spreads new visitors over the backends', async () => {
  const demo = start(0)
  const url = await demo.address()
  const homes = new Set<string | undefined>()
  // The chance that 60 draws miss one of three backends is about 10^-10.
  for (let i = 0; i < 60; i++) homes.add((await visit(url)).home)
  expect(homes.size).toBe(3)
})

test('drains on a signal even if a client stays, and ends at once on the second signal', async () => {
  const demo = start(0)
  const { port } = new URL(await demo.address())
  const lingering = net.connect(Number(port), '127.0.0.1')
  lingering.on('error', () => undefined)
  await once(lingering, 'connect')
  // It has certainly been accepted: connections are accepted in order, and a later one has been answered.
  await visit(`http://127.0.0.1:${port}/`)
  demo.signal('SIGTERM')
  await demo.said('draining')
  demo.signal('SIGTERM')
  expect(await demo.exited).toBe('SIGTERM')
})

test('replaces a crashed backend by another, which keeps the sessions that start there', async () => {
  const demo = start(0)
  const url = await demo.address()
  const first = await visit(url)
  const jar = first.cookies.map((cookie) => cookie.split(';')[0]).join('; ')
  expect((await fetch(`${url}crash`, { method: 'POST', headers: { cookie: jar } })).status).toBe(204)
  const second = await visit(url, jar)
  expect(second.home).not.toBe(first.home)
  expect(second.cookies).toHaveLength(2)
  const newJar = second.cookies.map((cookie) => cookie.split(';')[0]).join('; ')
  for (const visits of ['2', '3', '4']) expect(await visit(url, newJar)).toMatchObject({ home: second.home, visits })
  expect(await demo.said('is down')).toContain(`backend ${first.home} is down: connect ECONNREFUSED`)
})

test('a visit while all backends restart waits, and is answered', async () => {
  const demo = start(0)
  const url = await demo.address()
  expect((await fetch(`${url}restart`, { method: 'POST' })).status).toBe(204)
  expect((await visit(url)).visits).toBe('1')
  expect(await demo.said('is up')).toContain('is down')
})

test('exits with 1 and one line if the port is in use', async () => {
  const port = await listen(net.createServer())
  const demo = start(port)
  expect(await demo.exited).toBe(1)
  expect(await demo.said('\n')).toMatch(new RegExp(`^badass: cannot listen on 127.0.0.1:${port}: [^\\n]+\\n$`))
})

test.each(['http', '-1', '65536', '80.5', '1e3', ' '])('exits with 2 and one line for PORT=%j', async (port) => {
  const demo = start(port)
  expect(await demo.exited).toBe(2)
  expect(await demo.said('\n')).toMatch(/^badass: --listen: .*expected .*, got .*\n$/)
})
