import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/cli/config/config.ts'
import { loadConfig } from '../../../src/cli/config/load.ts'
import { LIMIT_NAMES, SETTINGS } from '../../../src/cli/config/settings.ts'
import { report } from '../../helpers/report.ts'
import { Command } from '../command.ts'
import { json, load, refusal, write } from './support.ts'

const KEYS = Object.keys(SETTINGS)
/** Settings that allow every other setting to have an effect. */
const BASE = { backends: ['dns:app.test:1'], algorithm: 'hash', sticky: true, forwarded: true, admin: 9000 }

/** The places of objects, each with a valid object. Error lines name keys by their place. */
const OBJECTS: [place: string, right: Record<string, unknown>, wrap: (value: unknown) => object][] = [
  ['', {}, (value) => ({ ...BASE, ...(value as object) })],
  ['listen[0]', { port: 0, host: '::1' }, (value) => ({ ...BASE, listen: [value] })],
  [
    'backends[0]',
    { port: 1, host: 'a', id: 'b', weight: 1, maxConnections: 1, backup: false },
    (value) => ({ ...BASE, dns: undefined, backends: [value] }),
  ],
  ['backends[0]', { path: '/run/a' }, (value) => ({ backends: [value] })],
  ['backends[0]', { dns: 'a', port: 1 }, (value) => ({ backends: [value] })],
  ['backends[0]', { srv: 'a' }, (value) => ({ backends: [value] })],
  [
    'backends[0].tls',
    { servername: 'a', rejectUnauthorized: true, ca: 'x', cert: 'x', key: 'x' },
    (value) => ({ backends: [{ port: 1, tls: value }] }),
  ],
  [
    'sticky',
    { name: 'a', insert: true, indirect: true, attributes: 'Path=/' },
    (value) => ({ ...BASE, sticky: value }),
  ],
  [
    'health',
    { type: 'http', path: '/', host: 'a', status: 200, interval: 1000, timeout: 100, rise: 1, fall: 1 },
    (value) => ({ ...BASE, health: value }),
  ],
  ['backoff', { min: 1, max: 2 }, (value) => ({ ...BASE, backoff: value })],
  ['dns', { servers: ['::1'], interval: 1, timeout: 1 }, (value) => ({ ...BASE, dns: value })],
  ['tls[0]', { cert: 'a', key: 'b' }, (value) => ({ ...BASE, tls: [value] })],
  ['admin', { port: 1, host: 'a' }, (value) => ({ ...BASE, admin: value })],
]

/** JSON values that are invalid for every key. */
const WRONG = [
  'null',
  '-1',
  '1.5',
  '1e400',
  '-1e400',
  '9007199254740993',
  '"\\u0000"',
  '[[]]',
  '[null]',
  '[{}]',
  '{"a":1}',
  '{"__proto__":{}}',
]
/** JSON values that are valid for some keys. */
const ODD = [
  'true',
  'false',
  '0',
  '-0',
  '1',
  '1e-400',
  '""',
  '"NaN"',
  '"Infinity"',
  '"0x10"',
  '"1e3"',
  '" 1"',
  '"\\ud800"',
  '[]',
  '{}',
]

const MARK = '<here>'
const file = () => json('')

/** The error lines for a text, without the file's name. Empty if the text is valid. */
async function linesOf(path: string, text: string): Promise<string[]> {
  writeFileSync(path, text)
  const error = await loadConfig({}, path).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error === undefined) return []
  if (!(error instanceof ConfigError)) throw error
  for (const line of error.lines) expect(line).toMatch(/^\P{Cc}{1,500}$/u)
  return error.lines.map((line) => line.replace(`${path}: `, ''))
}

describe('a wrong value', () => {
  let tried = 0

  test.each(KEYS)('of %s causes one line that names it', async (key) => {
    const path = file()
    for (const value of [...WRONG, ...ODD]) {
      const text = JSON.stringify({ ...BASE, [key]: MARK }).replace(`"${MARK}"`, value)
      const [line, ...more] = await linesOf(path, text)
      const place = key === 'backends' && value === '[]' ? 'TARGET' : key
      if (line !== undefined || WRONG.includes(value)) expect(line, text).toMatch(new RegExp(`^${place}[.:[]`))
      // An object with an unknown key also lacks the required keys.
      for (const one of more)
        expect(one, text).toMatch(new RegExp(`^${key}(?:\\[0\\])?(?:\\.\\w+)?: expected .*, got none`))
      tried++
    }
  })

  test.each(OBJECTS.slice(1))('at %s of %o causes one line that names it', async (place, right, wrap) => {
    const path = file()
    expect(await linesOf(path, JSON.stringify(wrap(right)))).toEqual([])
    for (const key of Object.keys(right)) {
      for (const value of WRONG) {
        // The TLS code checks PEM, not the config.
        if (value.startsWith('"') && right[key] === 'x') continue
        const text = JSON.stringify(wrap({ ...right, [key]: MARK })).replace(`"${MARK}"`, value)
        const lines = await linesOf(path, text)
        const named = `${place}.${key}`.replaceAll(/[.[\]]/g, '\\$&')
        for (const line of lines) expect(line, text).toMatch(new RegExp(`^${named}[.:[]`))
        expect(lines, text).toHaveLength(1)
        tried++
      }
    }
  })

  test.each([...LIMIT_NAMES.filter((name) => name !== 'lenientResponses'), 'grace', 'workers'])(
    'of %s causes an error line if it is not a valid number',
    async (key) => {
      const path = file()
      for (const value of [
        '1e400',
        '-1e400',
        '9007199254740992',
        '1e21',
        '"1e400"',
        '"9007199254740992"',
        '"NaN"',
        '"0x10"',
        '"1e3"',
        '"1_000"',
        'true',
      ]) {
        const [line] = await linesOf(path, `{"backends":[3001],"${key}":${value}}`)
        expect(line).toMatch(new RegExp(`^${key}: expected .*, got .*`))
        tried++
      }
    },
  )

  afterAll(() =>
    report('wrong values in config files', `${tried} tried, each that is taken is right, each refusal names its place`),
  )
})

describe('the names of inherited properties are not settings', () => {
  const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__']

  test.each(OBJECTS)('at %s of %o', async (place, right, wrap) => {
    const path = file()
    for (const name of NAMES) {
      for (const value of ['{"polluted": 1}', '{"prototype": {"polluted": 1}}', 'null', JSON.stringify(right)]) {
        const text = JSON.stringify(wrap({ ...right, [MARK]: MARK })).replace(
          `"${MARK}":"${MARK}"`,
          `${JSON.stringify(name)}:${value}`,
        )
        const lines = await linesOf(path, text)
        const what = `${place && `${place}.`}${name}: unknown option`
        expect(
          lines.filter((line) => line.startsWith(what)),
          text,
        ).toHaveLength(1)
        expect(lines, text).toHaveLength(1)
        expect(({} as Record<string, unknown>).polluted).toBeUndefined()
      }
    }
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test('in the prototype of an object', async () => {
    expect(await linesOf(file(), '{"__proto__": {"backends": [3001]}}')).toEqual([
      '__proto__: unknown option (see badass --help)',
    ])
  })
})

describe('a file of any size and kind', () => {
  test.each([
    ['lists in lists', `{"backends": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /^is nested too deeply$/],
    [
      'lists in lists, at a name',
      `{"backends":[1],"sticky":{"name":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`,
      /^is nested too deeply$/,
    ],
    [
      'objects in objects',
      `{"backends": [1], "x": ${'{"x":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
      /^is nested too deeply$/,
    ],
    ['lists without an end', '['.repeat(500_000), /^is nested too deeply$/],
    [
      'a long key',
      `{"backends": [1], "${'k'.repeat(1_000_000)}": 1}`,
      /^\['k{100}'\.{3} 999900 more characters\]: unknown option/,
    ],
    [
      'a long value',
      `{"backends": [1], "log": "${'v'.repeat(1_000_000)}"}`,
      /^log: expected none, .*, got 'v+'\.\.\. \d+ more characters$/,
    ],
    ['a long number', `{"backends": [1], "grace": ${'9'.repeat(1_000_000)}}`, /^grace: expected .*, got Infinity$/],
  ])('%s', async (_, text, line) => {
    const [first = '', ...more] = await refusal(json(text))
    expect(first).toMatch(line)
    expect(first.length).toBeLessThan(1_000)
    expect(more).toEqual([])
  })

  test('can have many blanks and many backends', async () => {
    const backends = Array.from({ length: 5_000 }, (_, i) => i + 1)
    const { backends: taken } = await load(json(`${' '.repeat(20_000_000)}{"backends": ${JSON.stringify(backends)}}`))
    expect(taken).toHaveLength(5_000)
  })

  test('can begin with a byte order mark', async () => {
    expect((await load(json('\ufeff{"backends": [3001]}'))).backends).toEqual([{ port: 3001 }])
    expect(await refusal(json('\ufeff\ufeff{"backends": [3001]}'))).toEqual([':1:1: invalid symbol'])
  })

  test.each([
    ['Latin-1', Buffer.from('{"backends": [{"port": 1, "id": "\xe9"}]}', 'latin1')],
    ['UTF-16', Buffer.from('\ufeff{"backends": [3001]}', 'utf16le')],
    ['surrogates', Buffer.from('{"backends": [{"port": 1, "id": "\xed\xa0\x80"}]}', 'latin1')],
    ['overlong', Buffer.from('{"backends": [{"port": 1, "id": "\xc0\xaf"}]}', 'latin1')],
  ])('is refused if it is not UTF-8: %s', async (_, bytes) => {
    const path = write('badass.json', '')
    writeFileSync(path, bytes)
    expect(await refusal(path)).toEqual([`--config: expected UTF-8 text in '${path}'`])
  })

  test('is refused as a secret of random bytes, of which UTF-8 decoding would leave little', async () => {
    const path = json({ backends: [3001], sticky: true, secretFile: 'secret' })
    writeFileSync(path.replace('badass.json', 'secret'), Buffer.from(Array.from({ length: 32 }, (_, i) => 0x80 + i)))
    expect(await refusal(path)).toEqual([expect.stringMatching(/^secretFile: expected UTF-8 text in '.*secret'$/)])
  })

  test('is refused with half a surrogate pair in an id', async () => {
    expect(
      await refusal(json('{"backends": [{"port": 1, "id": "\\ud800"}, {"port": 2, "id": "\\ud83d\\ude00"}]}')),
    ).toEqual(["backends[0].id: expected a text of 1 to 200 characters, got '\\ud800'"])
  })

  test('is refused with an empty list of addresses', async () => {
    expect(await refusal(json('{"backends": [3001], "listen": []}'))).toEqual([
      'listen: expected one or more addresses, got an empty list',
    ])
  })
})

test.each([
  ['{"backends": [3001], "__proto__": {"grace": 1}}', '__proto__: unknown option'],
  ['{"backends": [3001], "grace": 1e400}', 'grace: expected a time such as 500ms, 30s or 5m, got Infinity'],
  ['{"backends": [3001], "maxFields": [1]}', 'maxFields: expected an integer from 1 to 1048576, got a list'],
  [
    '{"backends": [3001], "lookup": "function () {}"}',
    "lookup: expected a function (in a JS module), got 'function () {}'",
  ],
])('the command exits with 2 and one line for %s', async (text, line) => {
  const path = json(text)
  const command = Command.start('--config', path)
  expect(await command.exited).toBe(2)
  expect(command.stderr).toMatch(/^[^\n]+\n$/)
  expect(command.stderr).toContain(`${path}: ${line}`)
  expect(command.stdout).toBe('')
})
