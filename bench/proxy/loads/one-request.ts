import type { Workload } from '../types.ts'
import { checkClose, expect } from './ask.ts'
import { wrk } from './wrk.ts'

const headers = ['Connection: close']

export const oneRequest: Workload = {
  name: 'one request a connection',
  title: 'small requests, each on a connection of its own, 64 at a time (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: async (port) => void (await checkClose(port)),
  run: ({ port, seconds }) => wrk({ port, seconds, headers, connections: 64 }),
}

export const session: Workload = {
  name: 'session',
  title: 'the same, of an application that sets a cookie: the sticky ones set theirs beside it',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: ({ name, kind, reads }) =>
    ['badass', 'badass sticky'].includes(name) || (kind === 'native' && reads === 'each request'),
  check: async (port) => {
    const cookies = (await checkClose(port, '/session')).headers['set-cookie'] ?? []
    expect('Set-Cookie', cookies[0], 'session=0123456789abcdef; Path=/; HttpOnly')
  },
  run: ({ port, seconds }) => wrk({ port, seconds, headers, connections: 64, path: '/session' }),
}
