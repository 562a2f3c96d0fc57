import { expect, test } from 'vitest'
import type { RequestLists } from '../../../src/cli/recent-requests.ts'
import { jsonOf, startAdmin, TOKEN } from './support.ts'

const ENTRY = { at: 1, client: '10.0.0.1:5', method: 'GET', path: '/', pool: 'default', backend: 'a', total: 2.5 }
const LISTS: RequestLists = { slowest: [ENTRY], failed: [{ ...ENTRY, status: 502, code: 'CONNECT_FAILED' }] }
const path = '/api/requests'
const headers = { Authorization: `Bearer ${TOKEN}` }

test('/api/requests shows the lists to those that have the token', async () => {
  const { ask } = await startAdmin({ recent: async () => LISTS })
  const { status, body } = await ask({ path, headers })
  expect([status, JSON.parse(body.toString())]).toEqual([200, LISTS])
})

test.each([
  ['no token', {}, 401],
  ['another token', { Authorization: 'Bearer x' }, 401],
  ['another site', { ...headers, Origin: 'http://evil.test' }, 403],
  ['another host', { ...headers, Host: 'evil.test' }, 403],
])('refuses requests with %s', async (_, given, status) => {
  let reads = 0
  const recent = () => {
    reads++
    return LISTS
  }
  const { ask } = await startAdmin({ recent })
  const answer = await ask({ path, headers: given })
  expect([answer.status, Object.keys(jsonOf(answer) as object), reads]).toEqual([status, ['error'], 0])
})

test('a 404 says how to record requests', async () => {
  const { ask } = await startAdmin()
  const answer = await ask({ path, headers })
  expect([answer.status, jsonOf(answer)]).toEqual([
    404,
    { error: 'requests are not recorded: start with --admin-requests' },
  ])
})
