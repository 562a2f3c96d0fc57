import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Entry, toJson } from '../../src/cli/service/log-format.ts'
import { root } from './running.ts'

// Runs the program of examples/operations that reads the access log.

const MINUTE = Date.parse('2026-11-23T08:15:00Z')

function line(second: number, backend: string, client: string, firstByteMs: number | undefined): string {
  const times = { headMs: 1, connectMs: 1, firstByteMs, totalMs: 2 }
  const bytes = { bytesIn: 1, bytesOut: 1, bodyBytesOut: 1 }
  const fields = { requestId: undefined, referer: undefined, userAgent: undefined, retries: 0, outcome: 'ok' }
  const request = { client, request: 'GET / HTTP/1.1', status: 200, pool: 'default', backend }
  const entry: Entry = { time: MINUTE + second * 1_000, ...request, ...times, ...bytes, ...fields }
  return toJson(entry)
}

test('slow.js tells which backend is slow, since when, and for whom', () => {
  const lines = [
    line(0, 'blue', '192.0.2.1:1', 20),
    line(1, 'green', '192.0.2.1:1', 20),
    line(2, 'green', '192.0.2.7:1', 1_000),
    line(3, 'green', '[2001:db8::1]:2', 5_000),
    line(4, 'green', '192.0.2.7:3', 2_000),
    line(5, 'green', '192.0.2.1', 999),
    line(6, 'green', 'unix', undefined),
  ]
  const file = join(root, 'examples', 'operations', 'slow.js')
  const { stdout, stderr } = spawnSync(process.execPath, [file], { input: `${lines.join('\n')}\n`, encoding: 'utf8' })
  expect(stderr).toBe('')
  const when = 'from 2026-11-23T08:15:02.000Z to 2026-11-23T08:15:04.000Z'
  expect(stdout.split('\n')).toEqual([
    'default blue: 0 of 1',
    `default green: 3 of 5, ${when}, for 192.0.2.7 (2), [2001:db8::1] (1)`,
    '',
  ])
})
