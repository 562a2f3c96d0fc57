import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Command } from '../command.ts'
import { load, refusal, TARGETS, write } from './support.ts'

describe('a JS module', () => {
  test('has its settings in the default export, and exports its hooks by name', async () => {
    const file = write(
      'badass.mjs',
      `export default { backends: [3001], grace: undefined }
       export const lookup = () => 'looked up'
       export async function modify() {}
       export const errback = () => undefined
       export const port = 5`,
    )
    const config = await load(file)
    expect(config).toMatchObject({ backends: [{ port: 3001 }], grace: 30_000 })
    expect(Object.keys(config.hooks)).toEqual(['lookup', 'modify', 'errback'])
    expect((config.hooks.lookup as () => unknown)()).toBe('looked up')
  })

  test('may have only hooks', async () => {
    const config = await load(write('badass.mjs', 'export const lookup = () => undefined'), '3001')
    expect(Object.keys(config.hooks)).toEqual(['lookup'])
  })

  test.each([
    ['lookup', 'every'],
    ['modify', 'every'],
    ['errback', 'first'],
  ])('with %s reads the %s request', async (hook, requests) => {
    const file = write('badass.mjs', `export const ${hook} = () => undefined`)
    expect((await load(file, '3001')).requests).toBe(requests)
    expect((await load(file, '--requests', 'first', '3001')).requests).toBe('first')
  })

  test('may be CommonJS, with the hooks among the settings', async () => {
    const config = await load(write('badass.js', 'module.exports = { backends: [3001], lookup() {} }'))
    expect(config.backends).toEqual([{ port: 3001 }])
    expect(Object.keys(config.hooks)).toEqual(['lookup'])
  })

  test.each(['lookup', 'modify'])('with %s cannot offer HTTP/2, whose requests it would not see', async (hook) => {
    const settings = "{ backends: '3001,protocol=both', alpn: 'h2', tls: { cert: 'a', key: 'b' } }"
    const file = write('badass.mjs', `export default ${settings}\nexport const ${hook} = () => undefined`)
    expect(await refusal(file)).toEqual([
      `alpn: expected no h2 with the hook ${hook}, as requests in HTTP/2 pass unread`,
    ])
  })

  const WRONG: [name: string, text: string, lines: string[]][] = [
    ['a.mjs', 'export default 5', ['expected an object of settings, got 5']],
    ['a.mjs', 'export default { backends: [, 1] }', [`backends[0]: expected ${TARGETS}, or an object, got undefined`]],
    [
      'a.mjs',
      'export default { grace: NaN, backends: [{ port: 1n }] }',
      [
        'backends[0].port: expected an integer from 1 to 65535, got 1n',
        'grace: expected a time such as 500ms, 30s or 5m, got NaN',
      ],
    ],
    [
      'a.mjs',
      'export default { backends: 1 }\nexport const lookpu = 1',
      ['export lookpu: unknown hook (did you mean lookup?)'],
    ],
    [
      'a.mjs',
      'export default { backends: 1 }\nexport const lookup = 1',
      ['lookup: expected a function (in a JS module), got 1'],
    ],
    ['a.mjs', '\n\nthrow new Error("no luck\\ntoday")', [':3: no luck']],
    ['a.mjs', 'throw "no luck"', ["'no luck'"]],
    ['a.mjs', `const error = new Error(); error.message = Symbol('odd'); throw error`, ['Error']],
    ['a.mjs', `throw Object.create(null)`, ['an object']],
    ['a.mjs', 'export default { get grace() { throw new Error("no luck") } }', [':1: no luck']],
    ['a.mjs', 'export default { backends: [{ get port() { throw new Error("no luck") } }] }', ['no luck']],
  ]

  test.each(WRONG)('is refused as %s with %j', async (name, text, lines) => {
    expect(await refusal(write(name, text))).toEqual(lines)
  })
})

describe('a reload of the command', () => {
  const NAMES = ['badass.mjs', 'badass.js', 'badass.json'] as const
  const text = (name: (typeof NAMES)[number], socket: string) => {
    const settings = JSON.stringify({ backends: [1], listen: `unix:${socket}` })
    return {
      'badass.mjs': `export default ${settings}`,
      'badass.js': `module.exports = ${settings}`,
      'badass.json': settings,
    }[name]
  }

  test.each(NAMES)('reads %s again, also through a link', async (name) => {
    const directory = temporaryDirectory()
    const file = join(directory, name)
    symlinkSync(write(name, text(name, join(directory, '1.sock'))), file)
    const command = Command.start('--config', file)
    await command.said('1.sock\n')
    writeFileSync(file, text(name, join(directory, '2.sock')))
    command.signal('SIGHUP')
    await command.said('2.sock\n')
  })

  test('reports the line of a throw in a module, and loads the module after a fix', async () => {
    const socket = join(temporaryDirectory(), 'x.sock')
    const file = write('badass.mjs', text('badass.mjs', socket))
    const command = Command.start('--config', file)
    await command.said('x.sock\n')
    for (const [wrong, line] of [
      ['export default {', ': Unexpected end of input'],
      ['\n\nthrow new Error("no luck")', ':3: no luck'],
    ] as const) {
      writeFileSync(file, wrong)
      command.signal('SIGHUP')
      await command.said(`badass: not reloaded: ${file}${line}\n`)
    }
    writeFileSync(file, text('badass.mjs', socket))
    command.signal('SIGHUP')
    await command.said('badass: reloaded\n')
  })
})
