import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hasProgram } from '../helpers/peers.ts'
import { root } from './running.ts'

test.skipIf(!hasProgram('promtool') && !process.env.CI)('promtool accepts the alerts', () => {
  const file = join(root, 'examples', 'operations', 'alerts.yaml')
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
  expect([status, stderr, stdout]).toEqual([0, '', expect.stringContaining('SUCCESS: 1 rules found')])
})
