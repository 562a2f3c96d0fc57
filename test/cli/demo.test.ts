import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { listen } from '../helpers/net.ts'

// The demo as `npm start` runs it: the built program, in a process of its own.

interface Demo {
  /** Resolves as soon as it has said the text, on stderr. */
  said: (text: string) => Promise<string>
  output: () => string
  /** Resolves with the address that it says. */
  address: () => Promise<string>
  exited: Promise<number | null>
  signal: (name: NodeJS.Signals) => void
}

function start(port: string | number): Demo {
  const env = { ...process.env, PORT: String(port), ADMIN_PORT: '0' }
  const child = spawn(process.execPath, ['dist/cli/demo/main.js'], { env })
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
    exited: once(child, 'close').then(([code]) => code as number | null),
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

test('a visitor keeps the home, over reloads and for the WebSocket, until forgotten', async () => {
  const demo = start(0)
  const url = await demo.address()
  const first = await visit(url)
  expect(['crimson', 'emerald', 'sapphire']).toContain(first.home)
  expect(first.cookies).toHaveLength(2)
  expect(first.visits).toBe('1')
  const jar = first.cookies.map((cookie) => cookie.split(';')[0]).join('; ')
  for (const visits of ['2', '3', '4', '5']) {
    // The backend sees its own cookie, and not the sticky one.
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

test('new visitors are spread over the backends', async () => {
  const demo = start(0)
  const url = await demo.address()
  const homes = new Set<string | undefined>()
  // By chance one of three is missed in 60 draws once in 10^10.
  for (let i = 0; i < 60; i++) homes.add((await visit(url)).home)
  expect(homes.size).toBe(3)
})

test('drains on a signal even where a client stays, and ends at once on the second', async () => {
  const demo = start(0)
  const { port } = new URL(await demo.address())
  const lingering = net.connect(Number(port), '127.0.0.1')
  lingering.on('error', () => undefined)
  await once(lingering, 'connect')
  // Accepted for sure: connections are accepted in order, and a later one has been answered.
  await visit(`http://127.0.0.1:${port}/`)
  demo.signal('SIGTERM')
  await demo.said('draining')
  demo.signal('SIGTERM')
  expect(await demo.exited).toBe(143)
})

test('a backend that crashes is replaced by another, and a session begun there has its home there', async () => {
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

test('a port that is taken is one clear line, and exit code 1', async () => {
  const port = await listen(net.createServer())
  const demo = start(port)
  expect(await demo.exited).toBe(1)
  expect(await demo.said('\n')).toMatch(new RegExp(`^badass: cannot listen on 127.0.0.1:${port}: [^\\n]+\\n$`))
})

test.each(['http', '-1', '65536', '80.5', '1e3', ' '])('PORT=%j is one clear line, and exit code 2', async (port) => {
  const demo = start(port)
  expect(await demo.exited).toBe(2)
  expect(await demo.said('\n')).toMatch(/^badass: --listen: .*got .*; takes .*\n$/)
})
