import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../../helpers/run.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { load, refusal, TARGETS, write } from './support.ts'

describe('a JS module', () => {
  test('has its settings in the default export and its hooks beside it', async () => {
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

  test('may have hooks and nothing else', async () => {
    const config = await load(write('badass.mjs', 'export const lookup = () => undefined'), '3001')
    expect(Object.keys(config.hooks)).toEqual(['lookup'])
  })

  test('may be CommonJS, with the hooks among the settings', async () => {
    const config = await load(write('badass.js', 'module.exports = { backends: [3001], lookup() {} }'))
    expect(config.backends).toEqual([{ port: 3001 }])
    expect(Object.keys(config.hooks)).toEqual(['lookup'])
  })

  const WRONG: [name: string, text: string, lines: string[]][] = [
    ['a.mjs', 'export default 5', ['got 5; takes an object of settings']],
    ['a.mjs', 'export default { backends: [, 1] }', [`backends[0]: got undefined; takes ${TARGETS}, or an object`]],
    [
      'a.mjs',
      'export default { grace: NaN, backends: [{ port: 1n }] }',
      [
        'backends[0].port: got 1n; takes an integer from 1 to 65535',
        'grace: got NaN; takes an integer from 0 to 2147483647 (ms) or a time such as 30s',
      ],
    ],
    [
      'a.mjs',
      'export default { backends: 1 }\nexport const lookpu = 1',
      ['export lookpu: is no hook; did you mean lookup?'],
    ],
    [
      'a.mjs',
      'export default { backends: 1 }\nexport const lookup = 1',
      ['lookup: got 1; takes a function, of a JS module'],
    ],
    ['a.mjs', '\n\nthrow new Error("no luck\\ntoday")', [':3: no luck']],
    ['a.mjs', 'throw "no luck"', ["'no luck'"]],
    ['a.mjs', 'export default { get grace() { throw new Error("no luck") } }', [':1: no luck']],
    ['a.mjs', 'export default { backends: [{ get port() { throw new Error("no luck") } }] }', ['no luck']],
  ]

  test.each(WRONG)('%s with %j is refused', async (name, text, lines) => {
    expect(await refusal(write(name, text))).toEqual(lines)
  })
})

describe('in Node itself, without the module loader of the tests', () => {
  /** Loads `file`, writes `then` into it, and loads it again: what the backends were, or the lines that were said. */
  const script = (file: string, then: string) => `
    import { writeFileSync } from 'node:fs'
    import { readArguments } from ${JSON.stringify(new URL('../../../dist/cli/config/arguments.js', import.meta.url).href)}
    const request = readArguments(['--config', ${JSON.stringify(file)}])
    const seen = []
    for (const i of [0, 1]) {
      seen.push(await request.load().then(({ backends }) => backends, ({ name, lines }) => ({ name, lines })))
      writeFileSync(${JSON.stringify(file)}, ${JSON.stringify(then)})
    }
    console.log(JSON.stringify(seen))`

  async function loadTwice(file: string, then: string): Promise<unknown> {
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script(file, then)])
    expect(stderr).toBe('')
    return JSON.parse(stdout.toString())
  }

  const NAMES = ['badass.mjs', 'badass.js', 'badass.json'] as const
  const text = (name: (typeof NAMES)[number], port: number) =>
    ({
      'badass.mjs': `export default { backends: [${port}] }`,
      'badass.js': `module.exports = { backends: [${port}] }`,
      'badass.json': `{ "backends": [${port}] }`,
    })[name]

  test.each(NAMES)('%s is read anew with each load, by way of a link too', async (name) => {
    const file = join(temporaryDirectory(), name)
    symlinkSync(write(name, text(name, 1)), file)
    expect(await loadTwice(file, text(name, 2))).toEqual([[{ port: 1 }], [{ port: 2 }]])
  })

  test('a module that is none is refused in one line, and loads once it is', async () => {
    const file = write('badass.mjs', 'export default {')
    expect(await loadTwice(file, text('badass.mjs', 2))).toEqual([
      { name: 'ConfigError', lines: [`${file}: Unexpected end of input`] },
      [{ port: 2 }],
    ])
  })

  test('the line of a throw is named', async () => {
    const file = write('badass.mjs', '\n\nthrow new Error("no luck")')
    expect(await loadTwice(file, text('badass.mjs', 2))).toEqual([
      { name: 'ConfigError', lines: [`${file}:3: no luck`] },
      [{ port: 2 }],
    ])
  })
})
