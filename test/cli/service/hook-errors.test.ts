import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import type { Config } from '../../../src/cli/config/config.ts'
import { RepeatFilter } from '../../../src/cli/output.ts'
import { deadPort } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Command } from '../command.ts'
import { configOf, endWith, startBackend, startService } from './support.ts'

// expectNoWarnings: the command prints the errors, so the engine must not.
expectNoWarnings()

const asking = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`

/** The hooks of a module with this source, and its path. */
async function hooksOf(text: string): Promise<{ file: string; hooks: Config['hooks'] }> {
  const file = join(temporaryDirectory(), 'badass.mjs')
  writeFileSync(file, `export default { backends: [3001] }\n${text}`)
  const request = readArguments(['--config', file])
  if (request.kind !== 'run') throw new Error('takes a config')
  return { file, hooks: (await request.load()).hooks }
}

test('prints each distinct error of a hook once, with its file and line', async () => {
  const { file, hooks } = await hooksOf(`
function find(head) {
  return head.headers.user.name
}
export async function lookup(head) {
  if (head.target === '/a') return find(head)
  if (head.target === '/b') throw new Error(\`no \${head.get('host')}\\nand more\`)
  if (head.target === '/c') head.headers['X y'] = '1'
  if (head.target === '/d') return { prot: 3001 }
  if (head.target === '/e') throw 'a text'
}
export function modify() {
  null.x
}`)
  const { port, said } = await startService({ backends: [await startBackend()], hooks })
  for (const round of [1, 2]) {
    for (const target of ['/a', '/b', '/c', '/d', '/e']) {
      expect(await endWith(port, asking(target))).toMatch(/^HTTP\/1.1 503 /)
    }
    expect(await endWith(port, asking('/f'))).toMatch(/^HTTP\/1.1 502 /)
    expect(said.all, `round ${round}`).toHaveLength(6)
  }
  expect(said.all).toEqual([
    `the hook lookup failed at ${file}:4: Cannot read properties of undefined (reading 'name')`,
    `the hook lookup failed at ${file}:8: no a`,
    expect.stringMatching(new RegExp(`^the hook lookup failed at ${file}:9: .*X y`)),
    expect.stringMatching(/^the hook lookup failed: .*Dest/),
    'the hook lookup failed: a text',
    `the hook modify failed at ${file}:14: Cannot read properties of null (reading 'x')`,
  ])
})

test('prints a hook`s Dest that cannot be reached, and prints everything again after a reload', async () => {
  const port = await deadPort()
  const { file, hooks } = await hooksOf(`
export function lookup(head) {
  if (head.target === '/own') return { connect() { throw new Error('no luck') } }
  return { port: ${port}, host: '127.0.0.1' }
}
export function errback() {
  throw new RangeError('neither')
}`)
  const started = await startService({ hooks })
  const lines = [
    `a hook returned 127.0.0.1:${port}, which cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
    `the hook errback failed at ${file}:8: neither`,
    `a hook returned own, which cannot be reached at ${file}:4: no luck`,
  ]
  for (const target of ['/', '/own', '/']) await endWith(started.port, asking(target))
  expect(started.said.all).toEqual(lines)
  await started.service.reload(configOf({ hooks }))
  for (const target of ['/', '/own']) await endWith(started.port, asking(target))
  expect(started.said.all).toEqual([...lines, ...lines])
})

test('names the place of a module below the folder of the package, and an answer that fails', async () => {
  const folder = mkdtempSync(join('node_modules', '.hooks-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = resolve(folder, 'badass.mjs')
  writeFileSync(
    file,
    `export default { backends: [3001], listen: '127.0.0.1:0' }
export function lookup(head) {
  if (head.path === '/a') throw new Error('no')
  return new Response(new ReadableStream({ pull() { throw new Error('not this') } }))
}`,
  )
  const command = Command.start('--config', file)
  const port = await command.port()
  await endWith(port, asking('/a'))
  await command.said(`badass: the hook lookup failed at ${file}:3: no\n`)
  await endWith(port, asking('/b')).catch(() => undefined)
  await command.said(`badass: the answer of a hook failed at ${file}:4: not this\n`)
})

test('prints one line for any thrown value', async () => {
  const hostile = Object.assign(new Error('x'), { message: Symbol('odd') as unknown as string, stack: 7 })
  const things = [hostile, Object.create(null), Proxy.revocable({}, {}).proxy, 'two\nlines', 0, [1]]
  Proxy.revocable(hostile, {}).revoke()
  let next = 0
  const hooks = { lookup: () => Promise.reject(things[next++]) }
  const { port, said } = await startService({ backends: [await startBackend()], hooks })
  for (const _ of things) expect(await endWith(port)).toMatch(/^HTTP\/1.1 503 /)
  for (const line of said.all) expect(line).toMatch(/^the hook lookup failed: .+$/)
})

test('prints a kind of line once a minute with its count, for a limited number of kinds', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const lines: string[] = []
  const repeats = new RepeatFilter((line) => lines.push(line))
  for (let i = 0; i < 3; i++) repeats.say('a', 'A')
  vi.advanceTimersByTime(60_000)
  repeats.say('a', 'A')
  repeats.say('a', 'A')
  expect(lines.splice(0)).toEqual(['A', 'A (and 2 more since the last report)'])
  for (let i = 0; i < 1_000; i++) repeats.say(`kind ${i}`, `${i}`)
  expect(lines.splice(0)).toHaveLength(99)
  vi.advanceTimersByTime(60_000)
  repeats.say('new', 'new')
  repeats.say('kind 500', 'late')
  expect(lines).toEqual(['new', 'late'])
})
