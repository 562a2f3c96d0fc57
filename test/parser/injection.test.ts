import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Head } from '../../src/parser/index.ts'
import { REQUEST, request, sent, thrownBy, typeError } from './heads.ts'

describe('throws a TypeError on an invalid name or value', () => {
  const VALUES = [
    'a\r\nX-Evil: 1',
    'a\r\n\r\nGET /',
    '\n',
    'a\rb',
    'a\0',
    '\x7f',
    'a\x1fb',
    '\u0100',
    '\u{1F600}',
    'a\u010a',
  ]
  const NAMES = ['', 'a b', 'a:', 'a\r\nb', 'a\n', 'a\0', '\xe9', '\u212a', '\u{1F600}', ' a', '(', 'a\t']

  const writes: [string, (head: Head, name: string, value: string) => unknown][] = [
    ['set', (head, name, value) => head.set(name, value)],
    ['set with an array', (head, name, value) => head.set(name, ['fine', value])],
    ['append', (head, name, value) => head.append(name, value)],
    [
      'head.headers[name] =',
      (head, name, value) => {
        head.headers[name] = value
      },
    ],
    [
      'head.headers[name] = an array',
      (head, name, value) => {
        head.headers[name] = ['fine', value]
      },
    ],
    ['Object.assign', (head, name, value) => Object.assign(head.headers, { [name]: value })],
  ]

  test.for(writes)('%s', ([, write]) => {
    for (const value of VALUES) {
      for (const name of ['X-One', 'X-New']) {
        const head = request()
        const message = `${name}: expected a string of Latin-1 without control characters, got ${inspect(value)}`
        expect(thrownBy(() => write(head, name, value))).toEqual(typeError(message))
        expect(sent(head)).toBe(REQUEST)
      }
    }
    for (const name of NAMES) {
      const head = request()
      const message = `field name: expected a token (RFC 9110 5.6.2), got ${inspect(name)}`
      expect(thrownBy(() => write(head, name, 'fine'))).toEqual(typeError(message))
      expect(sent(head)).toBe(REQUEST)
    }
  })

  test.for([5, true, null, {}, Object.create(null), Symbol('s'), [['a']]])(
    'on a value of another type: %o',
    (value) => {
      const head = request()
      const shown = inspect(Array.isArray(value) ? value[0] : value, { depth: 0 })
      const message = `X: expected a string of Latin-1 without control characters, got ${shown}`
      expect(thrownBy(() => Object.assign(head.headers, { X: value }))).toEqual(typeError(message))
      expect(sent(head)).toBe(REQUEST)
    },
  )

  test('on a hole in an array', () => {
    const head = request()
    const message = 'X: expected a string of Latin-1 without control characters, got undefined'
    expect(thrownBy(() => head.set('X', new Array(1)))).toEqual(typeError(message))
    expect(sent(head)).toBe(REQUEST)
  })

  test('and shortens a long value in the message', () => {
    const error = thrownBy(() => request().set('X', `${'a'.repeat(10_000)}\n`)) as TypeError
    expect(error.message).toMatch(/^X: expected .*, got 'a{100}'\.\.\. 9901 more characters$/)
  })
})
