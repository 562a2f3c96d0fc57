import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Headers } from '../../src/parser/index.ts'
import { REQUEST, request, response, sent, thrownBy } from './heads.ts'

describe('head.headers as an object', () => {
  const OBJECT = { Host: 'a.example', 'X-One': ['1', '2'], Cookie: 'a=1', Empty: '' }

  test('is the same object on each read', () => {
    const head = request()
    expect(head.headers).toBe(head.headers)
  })

  test('has each name once, in the case of its first field', () => {
    const { headers } = request()
    expect(Object.keys(headers)).toEqual(['Host', 'X-One', 'Cookie', 'Empty'])
    expect(Object.entries(headers)).toEqual(Object.entries(OBJECT))
    expect(Reflect.ownKeys(headers)).toEqual(Object.keys(OBJECT))
    const names: string[] = []
    for (const name in headers) names.push(name)
    expect(names).toEqual(Object.keys(OBJECT))
  })

  test('can be spread, copied, serialised and inspected', () => {
    const { headers } = request()
    expect({ ...headers }).toEqual(OBJECT)
    expect(Object.assign({}, headers)).toEqual(OBJECT)
    expect(JSON.stringify(headers)).toBe(JSON.stringify(OBJECT))
    expect(inspect(headers)).toBe(inspect(OBJECT))
    const { Host, ...others } = headers
    expect(Host).toBe('a.example')
    expect(Object.keys(others)).toEqual(['X-One', 'Cookie', 'Empty'])
  })

  test('is live', () => {
    const head = request()
    const { headers } = head
    head.set('host', 'b').append('New', 'n').delete('x-one')
    expect({ ...headers }).toEqual({ Host: 'b', Cookie: 'a=1', Empty: '', New: 'n' })
    headers.new = 'm'
    expect(head.get('NEW')).toBe('m')
  })

  test('deletes a field that is set to undefined in any way', () => {
    const writes: ((headers: Headers) => unknown)[] = [
      (headers) => {
        headers.cookie = undefined
      },
      (headers) => Object.assign(headers, { COOKIE: undefined }),
      (headers) => Reflect.set(headers, 'Cookie', undefined),
    ]
    for (const write of writes) {
      const head = request()
      write(head.headers)
      expect(head.has('cookie')).toBe(false)
      expect({ ...head.headers }).toEqual({ Host: 'a.example', 'X-One': ['1', '2'], Empty: '' })
      head.headers['X-One'] = undefined
      head.headers.Absent = undefined
      expect(Object.keys(head.headers)).toEqual(['Host', 'Empty'])
    }
    const untouched = request()
    untouched.headers.Absent = undefined
    expect(sent(untouched)).toBe(REQUEST)
  })

  test('has no inherited properties', () => {
    const { headers } = request()
    for (const name of [
      'toString',
      'hasOwnProperty',
      'constructor',
      '__proto__',
      'then',
      'toJSON',
      'get',
      'length',
      '0',
    ]) {
      expect(headers[name], name).toBeUndefined()
      expect(name in headers, name).toBe(false)
    }
    expect(Object.getPrototypeOf(headers)).toBeNull()
    expect(Object.getOwnPropertySymbols(headers)).toEqual([])
  })

  test('can be awaited and printed with fields named then, toJSON, toString and inspect', async () => {
    const { headers } = request(
      'GET / HTTP/1.0\r\nthen: 1\r\ntoJSON: 2\r\ntoString: 3\r\ninspect: 4\r\nvalueOf: 5\r\n\r\n',
    )
    expect(await headers).toBe(headers)
    expect(JSON.stringify(headers)).toBe('{"then":"1","toJSON":"2","toString":"3","inspect":"4","valueOf":"5"}')
    expect(inspect(headers)).toBe("{ then: '1', toJSON: '2', toString: '3', inspect: '4', valueOf: '5' }")
  })

  test('returns property descriptors', () => {
    expect(Object.getOwnPropertyDescriptor(request().headers, 'host')).toEqual({
      value: 'a.example',
      writable: true,
      enumerable: true,
      configurable: true,
    })
  })

  test('refuses symbols, accessors, prototypes and freezing', () => {
    const head = request()
    const { headers } = head
    expect(thrownBy(() => Object.assign(headers, { [Symbol('s')]: 'x' }))).toBeInstanceOf(TypeError)
    expect(thrownBy(() => Object.defineProperty(headers, 'X', { get: () => 'x' }))).toBeInstanceOf(TypeError)
    expect(thrownBy(() => Object.setPrototypeOf(headers, {}))).toBeInstanceOf(TypeError)
    expect(thrownBy(() => Object.freeze(headers))).toBeInstanceOf(TypeError)
    expect(sent(head)).toBe(REQUEST)
  })
})

describe('writing head.headers', () => {
  test('replaces, adds and deletes as set and delete do', () => {
    const head = request()
    head.headers.host = 'b'
    head.headers['X-One'] = ['3', '4']
    head.headers.New = 'n'
    delete head.headers.COOKIE
    expect(sent(head)).toBe('GET /path?q HTTP/1.1\r\nHost: b\r\nX-One: 3\r\nx-one: 4\r\nEmpty:\r\nNew: n\r\n\r\n')
  })

  test('works with Object.assign and Reflect', () => {
    const head = response()
    Object.assign(head.headers, { X: 'z', 'Set-Cookie': ['c=3'] })
    expect(Reflect.set(head.headers, 'A', 'b')).toBe(true)
    expect(Reflect.deleteProperty(head.headers, 'X')).toBe(true)
    expect(sent(head)).toBe('HTTP/1.1 404 Not Found\r\nSet-Cookie: c=3\r\nA: b\r\n\r\n')
  })
})

describe.for(['__proto__', 'constructor', 'get', 'set', 'toString', 'then', 'hasOwnProperty', 'first'])(
  'a field called %s is not special',
  (name) => {
    const text = `HTTP/1.1 200 OK\r\n${name}: 1\r\nX: y\r\n\r\n`

    test('when received', () => {
      const head = response(text)
      expect(head.get(name)).toBe('1')
      expect(head.headers[name]).toBe('1')
      expect(name in head.headers).toBe(true)
      expect(Object.keys(head.headers)).toEqual([name, 'X'])
      expect(Object.entries({ ...head.headers })).toEqual([
        [name, '1'],
        ['X', 'y'],
      ])
      expect(JSON.stringify(head.headers)).toBe(`{"${name}":"1","X":"y"}`)
      expect(inspect(head.headers)).toMatch(new RegExp(`^{ \\[?'?${name}'?\\]?: '1', X: 'y' }$`))
      expect(head.first).toBe('HTTP/1.1 200 OK')
      expect(sent(head)).toBe(text)
    })

    test('when set', () => {
      const plain: Record<string, unknown> = {}
      const before = plain[name]
      const head = response('HTTP/1.1 200 OK\r\nX: y\r\n\r\n')
      head.headers[name] = ['1', '2']
      expect(head.headers[name]).toEqual(['1', '2'])
      head.headers[name] = '1'
      expect(sent(head)).toBe(`HTTP/1.1 200 OK\r\nX: y\r\n${name}: 1\r\n\r\n`)
      expect(delete head.headers[name]).toBe(true)
      expect(head.headers[name]).toBeUndefined()
      expect(name in head.headers).toBe(false)
      expect(sent(head)).toBe('HTTP/1.1 200 OK\r\nX: y\r\n\r\n')
      expect(Object.getPrototypeOf(head.headers)).toBeNull()
      expect(plain[name]).toBe(before)
    })
  },
)
