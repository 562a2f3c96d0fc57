import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type http from 'node:http'
import { describe, expect, test } from 'vitest'
import { report } from '../../helpers/report.ts'
import { Command } from '../command.ts'
import { jsonOf, startAdmin, statusOf, TOKEN } from './support.ts'

const ACTIONS = ['drain', 'ready', 'kill'] as const
const BEARER = { Authorization: `Bearer ${TOKEN}` }
const JSON_TYPE = { 'Content-Type': 'application/json' }

interface Attempt {
  method?: string
  path?: string
  headers: http.OutgoingHttpHeaders
  body?: string
}

/** Requests that an attacker without the token, or a page of another site, might send. */
const ATTEMPTS: [what: string, attempt: Attempt][] = [
  ['without a token', { headers: JSON_TYPE }],
  ['with the token in the query', { path: `?token=${encodeURIComponent(TOKEN)}`, headers: JSON_TYPE }],
  [
    'with the token in a cookie',
    { headers: { ...JSON_TYPE, Cookie: `token=${TOKEN}; Authorization=Bearer ${TOKEN}` } },
  ],
  [
    'with the token in the body',
    { headers: JSON_TYPE, body: JSON.stringify({ token: TOKEN, authorization: `Bearer ${TOKEN}` }) },
  ],
  [
    'with the token as a password',
    { headers: { ...JSON_TYPE, Authorization: `Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}` } },
  ],
  [
    'with the token in another field',
    { headers: { ...JSON_TYPE, 'X-Authorization': `Bearer ${TOKEN}`, 'X-Token': TOKEN } },
  ],
  ...['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].map((method): [string, Attempt] => [
    `by ${method}`,
    { method, headers: { ...BEARER, ...JSON_TYPE } },
  ]),
  [
    'by GET that says it is POST',
    { method: 'GET', path: '?_method=POST', headers: { ...BEARER, ...JSON_TYPE, 'X-HTTP-Method-Override': 'POST' } },
  ],
  ...[
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/plain;application/json',
  ].map((type): [string, Attempt] => [
    `by a form of ${type}`,
    { headers: { ...BEARER, 'Content-Type': type }, body: 'a=b' },
  ]),
  ['by a beacon without a type', { headers: BEARER }],
  ...['cross-site', 'same-site', 'nonsense', ''].map((site): [string, Attempt] => [
    `by a page that is ${site || 'nowhere'} to the browser`,
    { headers: { ...BEARER, ...JSON_TYPE, 'Sec-Fetch-Site': site } },
  ]),
  ...[
    'http://evil.example',
    'https://evil.example',
    'http://127.0.0.1.evil.example',
    'http://localhost',
    'null',
    'file://',
  ].map((origin): [string, Attempt] => [
    `by a page of ${origin}`,
    { headers: { ...BEARER, ...JSON_TYPE, Origin: origin } },
  ]),
  ...['evil.example', 'localhost.evil.example', '127.0.0.1@evil.example', '2130706433.evil.example', '10.0.0.1'].map(
    (host): [string, Attempt] => [
      `under the name ${host}`,
      { headers: { ...BEARER, ...JSON_TYPE, Host: host, Origin: `http://${host}` } },
    ],
  ),
]

test('changes nothing without the token, from another site, or under another Host', async () => {
  const { ask, act, balancer } = await startAdmin()
  for (const [what, { path = '', ...attempt }] of ATTEMPTS) {
    for (const action of ACTIONS) {
      const { status } = await ask({ method: 'POST', ...attempt, path: `/api/backends/web-1/${action}${path}` })
      expect([400, 401, 403, 404, 405, 415], `${action} ${what}`).toContain(status)
    }
  }
  expect(balancer.calls).toEqual([])
  for (const action of ACTIONS) expect((await act(`web-1/${action}`)).status).toBe(200)
  expect(balancer.calls).toHaveLength(3)
  report('admin actions attempted without leave', `${ATTEMPTS.length * ACTIONS.length}, 0 done`)
})

test.each(['same-origin', 'none'])('allows Sec-Fetch-Site %s', async (site) => {
  const { act } = await startAdmin()
  expect((await act('web-1/drain', { 'Sec-Fetch-Site': site })).status).toBe(200)
})

test('answers another site with a clear error', async () => {
  const { act } = await startAdmin()
  const answer = await act('web-1/drain', { 'Sec-Fetch-Site': 'cross-site' })
  expect([answer.status, jsonOf(answer)]).toEqual([
    403,
    { error: 'Sec-Fetch-Site: expected same-origin, got "cross-site"' },
  ])
})

const PAGE = readFileSync(new URL('../../../src/cli/admin/static/page.html', import.meta.url))
const EVIL = '<img src=x onerror="alert(1)">\'"</script><script>alert(2)</script>\n# HELP evil\nevil{a="b"} 1\\'

test('never sends text from clients and backends as HTML', async () => {
  const evil = statusOf(EVIL, {
    address: EVIL,
    source: EVIL,
    lastError: { message: EVIL, at: 1 },
  })
  const { ask, act } = await startAdmin({ version: '1<b>' }, [evil, statusOf('web-1')])
  const field = EVIL.replace(/[^ -~]/g, ' ')
  const path = `/${encodeURI(EVIL)}`
  const answers = [
    await ask({ path: '/' }),
    await ask({ path: `/?${encodeURI(EVIL)}` }),
    await ask({ path }),
    await ask({ path: `/static${path}` }),
    await ask({ path: '/api/state' }),
    await ask({ path: '/metrics' }),
    await ask({ path: `/healthz${path}` }),
    await ask({ method: 'POST', path: '/' }),
    await ask({ headers: { Host: field } }),
    await act('web-1/drain', { Origin: field }),
    await act('web-1/drain', { 'Content-Type': field }),
    await act('web-1/drain', { Authorization: field }),
    await act('web-1/drain', { 'Sec-Fetch-Site': field }),
    await act(`${encodeURIComponent(`${EVIL}?`)}/drain`),
  ]
  for (const { headers, body } of answers) {
    // Node answers an invalid URL before the server sees it.
    if (body.length === 0) continue
    expect(headers['x-content-type-options']).toBe('nosniff')
    const type = String(headers['content-type'])
    if (type.startsWith('text/html')) expect(body).toEqual(PAGE)
    else expect(type).toMatch(/^(?:application\/json|text\/plain; version=0\.0\.4; charset=utf-8)$/)
  }
  const [, , , , state, metrics] = answers
  expect(jsonOf(state!)).toMatchObject({ backends: [{ id: EVIL, address: EVIL }, { id: 'web-1' }] })
  // Each label stays on its line and in its quotes.
  const lines = metrics!.body.toString().split('\n')
  expect(lines.filter((line) => /^(?:evil|# HELP evil)/.test(line))).toEqual([])
  const label = EVIL.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
  expect(lines).toContain(`badass_backend_up{id="${label}",address="${label}"} 1`)
})

describe.skipIf(process.platform !== 'linux')('the command listens', () => {
  /** The listening addresses of a process, in the kernel's hexadecimal form. */
  function listeningAt(pid: number): string[] {
    const inodes = new Set(
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]]
        } catch {
          return [] // closed meanwhile
        }
      }),
    )
    return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
      readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter(
          (columns) =>
            columns[9] !== undefined && inodes.has(columns[9]) && (table.startsWith('udp') || columns[3] === '0A'),
        )
        .map((columns) => columns[1]!.split(':')[0]!),
    )
  }

  const LOOPBACK = '0100007F'
  const EVERYWHERE = ['00000000', '0'.repeat(32)]

  test('on loopback with its admin page by default', async () => {
    const command = Command.start('--listen', '127.0.0.1:0', '--admin', '0', '--health', 'tcp', '3001')
    await command.said('admin page on')
    expect(listeningAt(command.pid)).toEqual([LOOPBACK, LOOPBACK])
  })

  test('without an admin page by default', async () => {
    const command = Command.start('--listen', '0', '3001')
    await command.said('listening on')
    const [address, ...more] = listeningAt(command.pid)
    expect(EVERYWHERE).toContain(address)
    expect(more).toEqual([])
  })
})
