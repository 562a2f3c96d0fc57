import type { Workload } from '../types.ts'
import { ask, checkClose, expect } from './ask.ts'
import { wrk } from './wrk.ts'

const headers = ['Connection: close']

export const oneRequest: Workload = {
  name: 'one request a connection',
  title: 'small requests, each on a new connection, 64 at a time (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: async (port) => void (await checkClose(port)),
  run: ({ port, seconds }) => wrk({ port, seconds, headers, connections: 64 }),
}

/** The cookies of a returning client. */
async function cookiesOf(port: number): Promise<string> {
  const { headers } = await ask(port, '/session')
  return (headers['set-cookie'] ?? []).map((cookie) => cookie.split(';', 1)[0]).join('; ')
}

export const session: Workload = {
  name: 'session',
  title:
    'small requests with a cookie, each on a new connection, 64 at a time (wrk); the application sets its cookie in each ' +
    'answer, and the sticky peers route by theirs',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: ({ name, kind, reads }) =>
    ['badass', 'badass sticky'].includes(name) || (kind === 'native' && reads === 'each request'),
  check: async (port, { isSticky = false }) => {
    const cookies = (await checkClose(port, '/session')).headers['set-cookie'] ?? []
    expect('cookies set', cookies.length, isSticky ? 2 : 1)
    expect('Set-Cookie', cookies.includes('session=0123456789abcdef; Path=/; HttpOnly'), true)
  },
  run: async ({ port, seconds }) => {
    const cookie = `Cookie: ${await cookiesOf(port)}`
    return wrk({ port, seconds, headers: [...headers, cookie], connections: 64, path: '/session' })
  },
}
