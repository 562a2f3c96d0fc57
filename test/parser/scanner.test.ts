import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS, HeadError, HeadScanner, parseHead } from '../../src/parser/index.ts'
import { latin1 } from './feed.ts'

const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n'

describe('HeadScanner', () => {
  test('has no head, rest or error before a head is complete', () => {
    const scanner = new HeadScanner('request')
    expect(scanner.kind).toBe('request')
    expect(scanner.push(latin1(HEAD.slice(0, -1)))).toBe('more')
    expect([scanner.head, scanner.error, scanner.rest.length]).toEqual([undefined, undefined, 0])
    expect(scanner.push(latin1('\nrest'))).toBe('head')
    expect(scanner.head?.bytes().toString()).toBe(HEAD)
    expect(scanner.error).toBeUndefined()
    expect(scanner.rest.toString()).toBe('rest')
  })

  test('throws on push() and end() after the head', () => {
    const scanner = new HeadScanner('request')
    scanner.push(latin1(HEAD))
    const message = 'HeadScanner: push() after the head; call reset() first'
    expect(() => scanner.push(latin1('x'))).toThrow(new Error(message))
    expect(() => scanner.push(Buffer.alloc(0))).toThrow(new Error(message))
    expect(() => scanner.end()).toThrow(new Error('HeadScanner: end() after the head; call reset() first'))
    expect(scanner.head?.first).toBe('GET / HTTP/1.1')
  })

  test('stays invalid, with the same error', () => {
    const scanner = new HeadScanner('request')
    expect(scanner.push(latin1('GET / HTTP/1.1\n'))).toBe('invalid')
    const { error } = scanner
    expect(error).toBeInstanceOf(HeadError)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'HeadError',
      code: 'BARE_LF',
      status: 400,
      offset: 14,
      byte: 10,
      state: 'VersionEnd',
    })
    expect(error?.message).toBe('BARE_LF: an LF without its CR (byte 14 is 0x0a, in VersionEnd)')
    expect(scanner.push(latin1(HEAD))).toBe('invalid')
    expect(scanner.end()).toBe(error)
    expect(scanner.error).toBe(error)
    expect(scanner.head).toBeUndefined()
    expect(scanner.rest.length).toBe(0)
  })

  test('stays invalid after the end', () => {
    const scanner = new HeadScanner('request')
    scanner.push(latin1('GET'))
    const error = scanner.end()
    expect(error).toMatchObject({ code: 'INCOMPLETE', offset: 3, state: 'Method' })
    expect(scanner.error).toBe(error)
    expect(scanner.push(latin1(HEAD))).toBe('invalid')
  })

  test.for(['GET / HTTP/1.1\r\nHost: a \r\nX', 'GET / HTTP/1.1\n', HEAD, `\r\n${HEAD}rest`, '\r'])(
    'starts anew after %j and a reset',
    (bytes) => {
      const scanner = new HeadScanner('request')
      scanner.push(latin1(bytes))
      scanner.reset()
      expect([scanner.head, scanner.error, scanner.rest.length]).toEqual([undefined, undefined, 0])
      for (const byte of latin1(HEAD)) scanner.push(Buffer.from([byte]))
      expect(scanner.head?.bytes().toString()).toBe(HEAD)
      expect([...scanner.head!]).toEqual([
        ['Host', 'a'],
        ['X', 'y'],
      ])
      scanner.reset()
      expect(scanner.push(latin1('GET / HTTP/1.1\r\n\r\n'))).toBe('invalid')
      expect(scanner.error).toMatchObject({ code: 'MISSING_HOST', offset: 16 })
    },
  )

  test('reads successive responses from the rest', () => {
    const scanner = new HeadScanner('response')
    const stream = latin1(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody',
    )
    const statuses: number[] = []
    for (let bytes: Buffer = stream; statuses.at(-1) !== 200; bytes = scanner.rest) {
      scanner.reset()
      expect(scanner.push(bytes)).toBe('head')
      statuses.push(scanner.head!.status)
    }
    expect(statuses).toEqual([100, 103, 200])
    expect(scanner.rest.toString()).toBe('body')
  })

  test('keeps a head unchanged while it scans the next', () => {
    const scanner = new HeadScanner('request')
    const cut = latin1(HEAD)
    scanner.push(cut.subarray(0, 20))
    scanner.push(cut.subarray(20))
    const first = scanner.head!
    scanner.reset()
    for (const byte of latin1('POST /other HTTP/1.1\r\nHost: b\r\n\r\n')) scanner.push(Buffer.from([byte]))
    expect(first.bytes().toString()).toBe(HEAD)
    expect([...first]).toEqual([
      ['Host', 'a'],
      ['X', 'y'],
    ])
    expect(scanner.head?.get('host')).toBe('b')
  })

  test('accepts any Uint8Array, even a view into larger memory', () => {
    const memory = new Uint8Array(latin1(`xx${HEAD}rest`))
    const scanner = new HeadScanner('request')
    expect(scanner.push(memory.subarray(2))).toBe('head')
    expect(scanner.head?.bytes().toString()).toBe(HEAD)
    expect(scanner.head?.bytes().buffer).toBe(memory.buffer)
    expect(scanner.rest.toString()).toBe('rest')
  })

  test.for(['maxHeadBytes', 'maxFields'] as const)('throws a RangeError unless %s is a positive integer', (name) => {
    for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5' as unknown as number]) {
      const message = `${name}: expected a positive integer, got ${value}`
      expect(() => new HeadScanner('request', { [name]: value })).toThrow(new RangeError(message))
      expect(() => parseHead(latin1(HEAD), 'request', { [name]: value })).toThrow(new RangeError(message))
    }
    expect(new HeadScanner('request', { [name]: 2 ** 53 - 1 }).push(latin1(HEAD))).toBe('head')
    expect(DEFAULT_LIMITS[name]).toBeGreaterThan(0)
  })
})
