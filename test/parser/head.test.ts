import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { REQUEST, RESPONSE, request, response, sent, thrownBy, typeError } from './heads.ts'

describe('the start line', () => {
  test('of a request has a method, a target and a version', () => {
    const head = request()
    expect(head.kind).toBe('request')
    expect(head.first).toBe('GET /path?q HTTP/1.1')
    expect([head.method, head.target, head.version]).toEqual(['GET', '/path?q', 'HTTP/1.1'])
    expect([head.status, head.reason]).toEqual([0, ''])
  })

  test('of an HTTP/2 preface has the version HTTP/2.0', () => {
    const head = request('PRI * HTTP/2.0\r\n\r\n')
    expect([head.method, head.target, head.version]).toEqual(['PRI', '*', 'HTTP/2.0'])
  })

  test('of an HTTP/2 preface takes no field with it', () => {
    const head = request('PRI * HTTP/2.0\r\n\r\n')
    head.headers['X-Forwarded-For'] = '1.2.3.4'
    head.first = head.first.replace('/old/', '/new/')
    expect(sent(head)).toBe('PRI * HTTP/2.0\r\n\r\n')
    head.first = 'GET / HTTP/1.1'
    expect(sent(head)).toBe('PRI * HTTP/2.0\r\n\r\n')
  })

  test.for([
    ['HTTP/1.1 404 Not Found', 'HTTP/1.1', 404, 'Not Found'],
    ['HTTP/1.0 200 ', 'HTTP/1.0', 200, ''],
    ['HTTP/1.1 999', 'HTTP/1.1', 999, ''],
    ['HTTP/1.1 200  two', 'HTTP/1.1', 200, ' two'],
  ] as const)('%j of a response has a version, a status and a reason phrase', ([line, version, status, reason]) => {
    const head = response(`${line}\r\n\r\n`)
    expect(head.kind).toBe('response')
    expect(head.first).toBe(line)
    expect([head.version, head.status, head.reason]).toEqual([version, status, reason])
    expect([head.method, head.target]).toEqual(['', ''])
  })

  test('can be written, and leaves the fields as they came', () => {
    const head = request()
    head.first = 'POST /\xe9 HTTP/1.0'
    expect([head.method, head.target, head.version]).toEqual(['POST', '/\xe9', 'HTTP/1.0'])
    expect(sent(head)).toBe(REQUEST.replace('GET /path?q HTTP/1.1', 'POST /\xe9 HTTP/1.0'))
  })

  test.for(['HTTP/1.0 200 OK', 'HTTP/1.1 500', 'HTTP/1.1 200 ', 'HTTP/1.1 299 \xe9\tx'])(
    'of a response can be %j',
    (line) => {
      const head = response()
      head.first = line
      expect(head.first).toBe(line)
      expect(sent(head)).toBe(RESPONSE.replace('HTTP/1.1 404 Not Found', line))
    },
  )

  test.for([
    'GET / HTTP/1.1\r\nX: y',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\n',
    'GET /\r HTTP/1.1',
    'GET /\0 HTTP/1.1',
    'GET /\u{1F600} HTTP/1.1',
    'GET /\u0100 HTTP/1.1',
    'GET /# HTTP/1.1',
    'GET  / HTTP/1.1',
    'GET / b HTTP/1.1',
    'GET /',
    'G(T / HTTP/1.1',
    'GET / HTTP/2.0',
    'GET / http/1.1',
    ' GET / HTTP/1.1',
    'HTTP/1.1 200 OK',
    '',
  ])('of a request cannot be %j', (line) => {
    const head = request()
    const message = `first: got ${inspect(line)}; takes a request's start line without its line end`
    expect(thrownBy(() => Object.assign(head, { first: line }))).toEqual(typeError(message))
    expect(sent(head)).toBe(REQUEST)
  })

  test.for([
    'HTTP/1.1 200 OK\r\nX: y',
    'HTTP/1.1 200 O\nK',
    'HTTP/1.1 200 \0',
    'HTTP/1.1 200 \u20ac',
    'HTTP/1.1 20',
    'GET / HTTP/1.1',
  ])('of a response cannot be %j', (line) => {
    const head = response()
    const message = `first: got ${inspect(line)}; takes a response's start line without its line end`
    expect(thrownBy(() => Object.assign(head, { first: line }))).toEqual(typeError(message))
    expect(sent(head)).toBe(RESPONSE)
  })

  test.for([undefined, null, 200, {}])('cannot be %j', (value) => {
    const message = `first: got ${inspect(value)}; takes a request's start line without its line end`
    expect(thrownBy(() => Object.assign(request(), { first: value }))).toEqual(typeError(message))
  })
})

describe('reading fields', () => {
  test('by a name in any case', () => {
    const head = request()
    for (const name of ['Host', 'host', 'HOST', 'hOsT']) {
      expect(head.get(name)).toBe('a.example')
      expect(head.has(name)).toBe(true)
      expect(head.headers[name]).toBe('a.example')
      expect(name in head.headers).toBe(true)
    }
  })

  test('by a name, not by more of the line', () => {
    const head = request('GET / HTTP/1.1\r\nHost: a:80\r\nX::\r\n\r\n')
    for (const name of ['host:', 'host: a', 'hos', 'x:', '']) {
      expect([head.get(name), head.has(name), head.delete(name)], name).toEqual([undefined, false, false])
    }
    expect(head.get('x')).toBe(':')
  })

  test('that are not there', () => {
    const head = request()
    expect(head.get('hos')).toBeUndefined()
    expect(head.getAll('hostt')).toEqual([])
    expect(head.has('')).toBe(false)
    expect(head.headers['x-two']).toBeUndefined()
    expect('x-two' in head.headers).toBe(false)
    expect(Object.getOwnPropertyDescriptor(head.headers, 'x-two')).toBeUndefined()
  })

  test('that occur several times', () => {
    const head = request()
    expect(head.get('x-one')).toBe('1, 2')
    expect(head.getAll('X-ONE')).toEqual(['1', '2'])
    expect(head.headers['X-one']).toEqual(['1', '2'])
  })

  test('of an empty value', () => {
    const head = request()
    expect(head.get('empty')).toBe('')
    expect(head.has('empty')).toBe(true)
    expect(head.headers.Empty).toBe('')
  })

  test('in the order and case of the wire', () => {
    expect([...request()]).toEqual([
      ['Host', 'a.example'],
      ['X-One', '1'],
      ['Cookie', 'a=1'],
      ['x-one', '2'],
      ['Empty', ''],
    ])
  })

  test('while they are edited goes over those there were', () => {
    const head = request()
    const seen: string[] = []
    for (const [name] of head) {
      seen.push(name)
      head.delete(name)
    }
    expect(seen).toEqual(['Host', 'X-One', 'Cookie', 'x-one', 'Empty'])
    expect([...head]).toEqual([])
  })

  test('leaves the bytes as they came', () => {
    const head = request()
    head.get('host')
    head.headers.Host
    JSON.stringify(head.headers)
    expect([...head]).toHaveLength(5)
    head.first
    expect(head.delete('x-two')).toBe(false)
    expect(delete head.headers['x-two']).toBe(true)
    expect(sent(head)).toBe(REQUEST)
    expect(head.bytes().buffer).toBe(head.bytes().buffer)
  })
})

describe('set', () => {
  test('writes in place, under the name that stands there', () => {
    const head = request()
    expect(head.set('HOST', 'b')).toBe(head)
    expect(sent(head)).toBe(REQUEST.replace('Host:  a.example ', 'Host: b'))
  })

  test('of several fields leaves one, where the first was', () => {
    const head = request()
    head.set('x-one', '3')
    expect(sent(head)).toBe(REQUEST.replace('X-One:1', 'X-One: 3').replace('x-one: \t2\r\n', ''))
  })

  test('of a new name writes at the end, under that name', () => {
    const head = request()
    head.set('X-New', 'n')
    expect(sent(head)).toBe(REQUEST.replace(/\r\n$/, 'X-New: n\r\n\r\n'))
  })

  test('with an array writes a field for each: in the places that are there, the rest behind them', () => {
    const head = response()
    head.set('SET-COOKIE', ['c=3', 'd=4', 'e=5'])
    expect(sent(head)).toBe(
      'HTTP/1.1 404 Not Found\r\nSet-Cookie: c=3\r\nX:y\r\nset-cookie: d=4\r\nset-cookie: e=5\r\n\r\n',
    )
    expect(head.headers['set-cookie']).toEqual(['c=3', 'd=4', 'e=5'])
  })

  test('leaves the line of a field that has its value already as it came', () => {
    const head = request()
    head.set('Host', 'a.example').set('x-one', ['3', '2'])
    expect(sent(head)).toBe(REQUEST.replace('X-One:1', 'X-One: 3'))
  })

  test('with an array of none takes the field out', () => {
    const head = response()
    head.set('Set-Cookie', []).set('Not-There', [])
    expect(sent(head)).toBe('HTTP/1.1 404 Not Found\r\nX:y\r\n\r\n')
  })

  test('drops the white space around a value, and keeps that within', () => {
    const head = response()
    head.set('X', ' \t a \t b\t ').set('Y', ' ')
    expect(head.get('X')).toBe('a \t b')
    expect(sent(head)).toContain('\r\nX: a \t b\r\n')
    expect(sent(head)).toContain('\r\nY: \r\n')
  })

  test('takes Latin-1, one character a byte', () => {
    const head = response()
    head.set('X', '\x80\xa0\xe9\xff')
    expect(head.bytes().includes(Buffer.from([0x80, 0xa0, 0xe9, 0xff]))).toBe(true)
    expect(head.get('X')).toBe('\x80\xa0\xe9\xff')
  })

  test('can be done again and again', () => {
    const head = request()
    for (const host of ['b', 'c', 'd']) head.set('Host', host)
    expect(sent(head)).toBe(REQUEST.replace('Host:  a.example ', 'Host: d'))
  })
})

describe('append', () => {
  test('adds a field at the end, beside those of its name', () => {
    const head = response()
    expect(head.append('Set-Cookie', 'c=3')).toBe(head)
    expect(sent(head)).toBe(RESPONSE.replace(/\r\n$/, 'Set-Cookie: c=3\r\n\r\n'))
    expect(head.getAll('set-cookie')).toEqual(['a=1', 'b=2', 'c=3'])
  })

  test('to a head without fields', () => {
    const head = response('HTTP/1.1 200\r\n\r\n')
    head.append('A', 'b')
    expect(sent(head)).toBe('HTTP/1.1 200\r\nA: b\r\n\r\n')
  })
})

describe('delete', () => {
  test('takes out every field of the name, in any case', () => {
    const head = request()
    expect(head.delete('X-ONE')).toBe(true)
    expect(head.delete('X-ONE')).toBe(false)
    expect(sent(head)).toBe(REQUEST.replace('X-One:1\r\n', '').replace('x-one: \t2\r\n', ''))
  })

  test('of all leaves the start line and the empty line', () => {
    const head = response()
    head.delete('set-cookie')
    head.delete('x')
    expect(sent(head)).toBe('HTTP/1.1 404 Not Found\r\n\r\n')
  })
})
