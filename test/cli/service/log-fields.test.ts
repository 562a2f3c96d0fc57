import net from 'node:net'
import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import type { Head } from '../../../src/parser/index.ts'
import { connect, deadPort, listen } from '../../helpers/net.ts'
import { ask, expectNoWarnings } from '../../helpers/proxy.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'
import { json, load, write } from '../config/support.ts'
import { get, startBackend, startService } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'

async function configOf(settings: object): Promise<Partial<Config>> {
  const { listen: _, ...config } = await load(json({ requests: 'every', log: 'json', ...settings }))
  return config
}

test('names the pool beside the backend, and none for a Dest of a hook or without a backend', async () => {
  const { port: own } = await startBackend('own')
  const config = await configOf({
    backends: await startBackend('a'),
    pools: {
      'the-api': { backends: await startBackend('b') },
      gone: { backends: { id: 'g', port: await deadPort(), host } },
    },
    routes: [
      { path: '/api', pool: 'the-api' },
      { path: '/gone', pool: 'gone' },
    ],
  })
  const hooks = {
    // Not a backend of a pool, although it says so.
    lookup: ({ target }: Head) => (target === '/own' ? { port: own, host, backend: { id: 'a' } } : undefined),
  }
  const { port, logged } = await startService({ ...config, hooks })
  for (const path of ['/', '/', '/api', '/gone', '/own']) await get({ port, host, path }).catch(() => undefined)
  await ask(port, 'BAD\r\n\r\n')
  const lines = (await logged.untilCount(6)).map((line) => JSON.parse(line))
  expect(lines.map(({ pool, backend }) => `${pool} ${backend}`)).toEqual([
    ...['default a', 'default a', 'the-api b', 'gone g', 'null a', 'null null'],
  ])
})

/** A backend that sends the answer in the path, percent-encoded, and keeps its connections. */
async function startEcho() {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => socket.write(decodeURIComponent(/ \/(\S*)/.exec(String(bytes))![1]!)))
  })
  return { port: await listen(server), host }
}

const LONG = 'x'.repeat(300_000)
const EDITED = 'HTTP/1.1 200 OK\r\nX-Long: a\r\nContent-Length: 5\r\n\r\n12345'

test.each([
  ['a body with a length', 'GET', EDITED, 5],
  [
    'a body in chunks, with their framing',
    'GET',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    12,
  ],
  ['no body', 'HEAD', EDITED.slice(0, -5), 0],
  ['a body after interim heads', 'GET', `HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${EDITED}`, 5],
  [
    'the bytes after a 101',
    'GET',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello',
    5,
  ],
])('the combined format has the bytes without heads: %s', async (_, method, answer, expected) => {
  const hooks = { modify: (head: Head) => void head.set('X-Long', 'a long value') }
  const { port, logged } = await startService({
    ...(await configOf({ log: 'combined', backends: await startEcho() })),
    hooks,
  })
  const upgrade = answer.includes(' 101 ') ? 'Connection: Upgrade\r\nUpgrade: x\r\n' : ''
  const request = `${method} /${encodeURIComponent(answer)} HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`
  const client = await connect(port)
  // The second is counted from the end of the first.
  for (let count = 1; count <= (upgrade ? 1 : 2); count++) {
    client.write(request)
    if (upgrade) await client.until('hello')
    else await logged.untilCount(count)
  }
  client.end()
  await client.ended()
  for (const line of await logged.untilCount(upgrade ? 1 : 2)) {
    expect(line).toMatch(new RegExp(`" ${/\d{3} OK|101/.exec(answer)![0].slice(0, 3)} ${expected} "-" "-"$`))
  }
})

test.each([
  [{ requests: 'every' }, 'an answer of a hook', '/hook', 200, LONG.length],
  [{ requests: 'first' }, 'an answer of a hook', '/hook', 200, LONG.length],
  [{ requests: 'every' }, "badass's own answer", '/none', 503, '503 Service Unavailable: NO_DESTINATION\n'.length],
  [{ requests: 'first' }, "badass's own answer", '/none', 503, '503 Service Unavailable: NO_DESTINATION\n'.length],
] as const)(
  'the combined format has the bytes without heads: %j, %s over TLS',
  async (mode, _, path, status, expected) => {
    const hooks = {
      lookup: ({ target }: Head) => (target === '/hook' ? new Response(new Blob([LONG])) : undefined),
      errback: () => undefined,
    }
    const [cert, key] = ['cert', 'key'].map((name) => write(name, String(certificate()[name as 'cert' | 'key'])))
    const { port, logged } = await startService({ ...mode, log: 'combined', hooks, tls: [{ cert: cert!, key: key! }] })
    const client = await connectTls(port)
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    const text = await client.ended()
    client.end()
    const [line] = await logged.untilCount(1)
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    // Chunks are counted with their framing.
    expect(body.length).toBeGreaterThanOrEqual(expected)
    expect(line).toContain(`" ${status} ${body.length} "`)
  },
)

test('with --requests first, the head of a response counts only if it passes unread', async () => {
  const answer = EDITED.replace('X-Long', 'Connection: close\r\nX-Long')
  const request = `GET /${encodeURIComponent(`HTTP/1.1 103 Early Hints\r\n\r\n${answer}`)} HTTP/1.1\r\nHost: a\r\n\r\n`
  const config = await configOf({ log: 'combined', requests: 'first', backends: await startEcho() })
  const lengths: number[] = []
  for (const hooks of [{}, { modify: (head: Head) => void head.set('X-Long', 'a long value') }]) {
    const { port, logged } = await startService({ ...config, hooks })
    const client = await connect(port)
    client.write(request)
    await client.until('12345')
    client.reset()
    lengths.push(Number(/ - (\d+) "-" "-"$/.exec((await logged.untilCount(1))[0]!)![1]))
  }
  expect(lengths).toEqual([answer.length + 'HTTP/1.1 103 Early Hints\r\n\r\n'.length, 5])
})
