import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Head, HeadScanner } from '../../src/parser/index.ts'
import { REQUEST, RESPONSE, request, response, sent, thrownBy, typeError } from './heads.ts'

describe('the start line', () => {
  test('of a request has a method, a target and a version', () => {
    const head = request()
    expect(head.kind).toBe('request')
    expect(head.first).toBe('GET /path?q HTTP/1.1')
    expect([head.method, head.target, head.version]).toEqual(['GET', '/path?q', 'HTTP/1.1'])
    expect([head.status, head.reason]).toEqual([0, ''])
  })

  test.for([
    ['GET /path?q', '/path?q'],
    ['GET /', '/'],
    ['GET //host/%2e?a/b', '//host/%2e?a/b'],
    ['GET http://host/path?q', '/path?q'],
    ['GET HTTPS://[::1]:8443/', '/'],
    ['GET ws://host/chat', '/chat'],
    ['GET http://host', '/'],
    ['GET http://host?q', '/?q'],
    ['GET a+b.c-d://host/?http://x/y', '/?http://x/y'],
    ['OPTIONS *', ''],
    ['OPTIONS http://host', '/'],
    ['CONNECT host:443', ''],
  ] as const)('%j has the path %j', ([line, path]) => {
    expect(request(`${line} HTTP/1.1\r\nHost: ${/\/\/([^/?]+)/.exec(line)?.[1] ?? 'host'}\r\n\r\n`).path).toBe(path)
  })

  test('of a response and of an HTTP/2 preface has no path', () => {
    expect([response().path, request('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').path]).toEqual(['', ''])
  })

  test('of an HTTP/2 preface has the version HTTP/2.0', () => {
    const head = request('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    expect([head.method, head.target, head.version]).toEqual(['PRI', '*', 'HTTP/2.0'])
  })

  test('of an HTTP/2 preface is sent without fields', () => {
    const head = request('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    head.headers['X-Forwarded-For'] = '1.2.3.4'
    head.first = head.first.replace('/old/', '/new/')
    expect(sent(head)).toBe('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    head.first = 'GET / HTTP/1.1'
    expect(sent(head)).toBe('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
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

  test('can be set, and leaves the fields unchanged', () => {
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
    const message = `first: expected a request's start line without its line end, got ${inspect(line)}`
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
    const message = `first: expected a response's start line without its line end, got ${inspect(line)}`
    expect(thrownBy(() => Object.assign(head, { first: line }))).toEqual(typeError(message))
    expect(sent(head)).toBe(RESPONSE)
  })

  test.for([undefined, null, 200, {}])('cannot be %j', (value) => {
    const message = `first: expected a request's start line without its line end, got ${inspect(value)}`
    expect(thrownBy(() => Object.assign(request(), { first: value }))).toEqual(typeError(message))
  })
})

describe('reading fields', () => {
  test('finds a name in any case', () => {
    const head = request()
    for (const name of ['Host', 'host', 'HOST', 'hOsT']) {
      expect(head.get(name)).toBe('a.example')
      expect(head.has(name)).toBe(true)
      expect(head.headers[name]).toBe('a.example')
      expect(name in head.headers).toBe(true)
    }
  })

  test('matches whole names only', () => {
    const head = request('GET / HTTP/1.1\r\nHost: a:80\r\nX::\r\n\r\n')
    for (const name of ['host:', 'host: a', 'hos', 'x:', '']) {
      expect([head.get(name), head.has(name), head.delete(name)], name).toEqual([undefined, false, false])
    }
    expect(head.get('x')).toBe(':')
  })

  test('finds no value for an absent field', () => {
    const head = request()
    expect(head.get('hos')).toBeUndefined()
    expect(head.getAll('hostt')).toEqual([])
    expect(head.has('')).toBe(false)
    expect(head.headers['x-two']).toBeUndefined()
    expect('x-two' in head.headers).toBe(false)
    expect(Object.getOwnPropertyDescriptor(head.headers, 'x-two')).toBeUndefined()
  })

  test('returns all values of a repeated field', () => {
    const head = request()
    expect(head.get('x-one')).toBe('1, 2')
    expect(head.getAll('X-ONE')).toEqual(['1', '2'])
    expect(head.headers['X-one']).toEqual(['1', '2'])
  })

  test('returns an empty value', () => {
    const head = request()
    expect(head.get('empty')).toBe('')
    expect(head.has('empty')).toBe(true)
    expect(head.headers.Empty).toBe('')
  })

  test('iterates in wire order and case', () => {
    expect([...request()]).toEqual([
      ['Host', 'a.example'],
      ['X-One', '1'],
      ['Cookie', 'a=1'],
      ['x-one', '2'],
      ['Empty', ''],
    ])
  })

  test('iterates over the original fields while they are edited', () => {
    const head = request()
    const seen: string[] = []
    for (const [name] of head) {
      seen.push(name)
      head.delete(name)
    }
    expect(seen).toEqual(['Host', 'X-One', 'Cookie', 'x-one', 'Empty'])
    expect([...head]).toEqual([])
  })

  test('leaves the bytes unchanged', () => {
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
  test('replaces in place and keeps the case of the name', () => {
    const head = request()
    expect(head.set('HOST', 'b')).toBe(head)
    expect(sent(head)).toBe(REQUEST.replace('Host:  a.example ', 'Host: b'))
  })

  test('replaces several fields by one, in place of the first', () => {
    const head = request()
    head.set('x-one', '3')
    expect(sent(head)).toBe(REQUEST.replace('X-One:1', 'X-One: 3').replace('x-one: \t2\r\n', ''))
  })

  test('adds a new field at the end', () => {
    const head = request()
    head.set('X-New', 'n')
    expect(sent(head)).toBe(REQUEST.replace(/\r\n$/, 'X-New: n\r\n\r\n'))
  })

  test('sets a field per value of an array, with extra values after the last field', () => {
    const head = response()
    head.set('SET-COOKIE', ['c=3', 'd=4', 'e=5'])
    expect(sent(head)).toBe(
      'HTTP/1.1 404 Not Found\r\nSet-Cookie: c=3\r\nX:y\r\nset-cookie: d=4\r\nset-cookie: e=5\r\n\r\n',
    )
    expect(head.headers['set-cookie']).toEqual(['c=3', 'd=4', 'e=5'])
  })

  test('leaves the line of a field unchanged if it already has the value', () => {
    const head = request()
    head.set('Host', 'a.example').set('x-one', ['3', '2'])
    expect(sent(head)).toBe(REQUEST.replace('X-One:1', 'X-One: 3'))
  })

  test('removes the field if the array is empty', () => {
    const head = response()
    head.set('Set-Cookie', []).set('Not-There', [])
    expect(sent(head)).toBe('HTTP/1.1 404 Not Found\r\nX:y\r\n\r\n')
  })

  test('trims white space around a value', () => {
    const head = response()
    head.set('X', ' \t a \t b\t ').set('Y', ' ')
    expect(head.get('X')).toBe('a \t b')
    expect(sent(head)).toContain('\r\nX: a \t b\r\n')
    expect(sent(head)).toContain('\r\nY: \r\n')
  })

  test('writes Latin-1, one byte per character', () => {
    const head = response()
    head.set('X', '\x80\xa0\xe9\xff')
    expect(head.bytes().includes(Buffer.from([0x80, 0xa0, 0xe9, 0xff]))).toBe(true)
    expect(head.get('X')).toBe('\x80\xa0\xe9\xff')
  })

  test('can be repeated', () => {
    const head = request()
    for (const host of ['b', 'c', 'd']) head.set('Host', host)
    expect(sent(head)).toBe(REQUEST.replace('Host:  a.example ', 'Host: d'))
  })
})

describe('append', () => {
  test('adds a field at the end, even if the name exists', () => {
    const head = response()
    expect(head.append('Set-Cookie', 'c=3')).toBe(head)
    expect(sent(head)).toBe(RESPONSE.replace(/\r\n$/, 'Set-Cookie: c=3\r\n\r\n'))
    expect(head.getAll('set-cookie')).toEqual(['a=1', 'b=2', 'c=3'])
  })

  test('adds to a head without fields', () => {
    const head = response('HTTP/1.1 200\r\n\r\n')
    head.append('A', 'b')
    expect(sent(head)).toBe('HTTP/1.1 200\r\nA: b\r\n\r\n')
  })
})

describe('delete', () => {
  test('removes every field of the name, in any case', () => {
    const head = request()
    expect(head.delete('X-ONE')).toBe(true)
    expect(head.delete('X-ONE')).toBe(false)
    expect(sent(head)).toBe(REQUEST.replace('X-One:1\r\n', '').replace('x-one: \t2\r\n', ''))
  })

  test('leaves the start line and the empty line if all fields are removed', () => {
    const head = response()
    head.delete('set-cookie')
    head.delete('x')
    expect(sent(head)).toBe('HTTP/1.1 404 Not Found\r\n\r\n')
  })
})

describe('a name', () => {
  const NAMES = ['a', 'Z-z', 'HOST2', 'x-0', '0', "!#$%&'*+-.^_`|~", 'x'.repeat(300)]
  const WIRE = `GET / HTTP/1.1\r\nHost: h\r\n${NAMES.map((name, k) => `${name}: ${k}\r\n`).join('')}\r\n`

  test('is found in any case, however the head is cut', () => {
    for (let cut = 1; cut < WIRE.length; cut++) {
      const scanner = new HeadScanner('request')
      expect(scanner.push(Buffer.from(WIRE.slice(0, cut)))).toBe('more')
      expect(scanner.push(Buffer.from(WIRE.slice(cut)))).toBe('head')
      const head = scanner.head!
      for (const [k, name] of NAMES.entries()) {
        expect([head.get(name.toUpperCase()), head.get(name.toLowerCase())]).toEqual([`${k}`, `${k}`])
        expect([head.has(name), head.has(`${name}x`), head.has(name.slice(1))]).toEqual([true, false, false])
      }
    }
  })

  test('is found after it was added, and not after it was deleted', () => {
    for (const name of NAMES) {
      const head = request('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
      expect(head.has(name)).toBe(false)
      expect([head.append(name, '1').get(name), head.clone().get(name)]).toEqual(['1', '1'])
      head.delete(name)
      expect([head.has(name), head.get(name), head.getAll(name)]).toEqual([false, undefined, []])
      expect(head.set(name, '2').get(name)).toBe('2')
    }
  })

  test('that is empty or has a colon is not found', () => {
    const head = request('GET / HTTP/1.1\r\nHost: h\r\nX: y: z\r\n\r\n')
    for (const name of ['', ':', 'x:', 'x: y', 'Host: h']) {
      expect([head.has(name), head.get(name), head.getAll(name)]).toEqual([false, undefined, []])
    }
  })
})

test('edits counts edits, and a copy goes on counting', () => {
  const head = request()
  head.get('host')
  head.first = `${head.first}`
  expect([head.edits, head.delete('x-absent'), head.edits]).toEqual([0, false, 0])
  head.set('host', 'b').append('x', '1').delete('x')
  head.first = 'GET /other HTTP/1.1'
  const copy = head.clone()
  copy.set('y', '1')
  expect([head.edits, copy.edits]).toEqual([4, 5])
})

describe('clone', () => {
  test('makes an independent copy', () => {
    const head = request()
    const before = head.clone()
    head.first = 'GET /other HTTP/1.1'
    head.set('Host', 'b').append('X-New', '1').delete('cookie')
    expect(sent(before)).toBe(REQUEST)
    expect(before.target).not.toBe('/other')
    const after = head.clone()
    expect(sent(after)).toBe(sent(head))
    after.delete('x-new')
    expect(head.has('x-new')).toBe(true)
    expect(after.headers).not.toBe(head.headers)
    expect(after.kind).toBe('request')
  })
})

describe('bytes() leaves set fields out of Connection', () => {
  const WRITTEN: [connection: string, write: (head: Head) => void, lines: string[]][] = [
    ['X-User, close', (head) => head.set('x-user', 'bob'), ['Connection: close', 'x-user: bob']],
    ['x-user', (head) => head.append('X-User', 'bob'), ['X-User: bob']],
    [
      'X-User,, TE',
      (head) => Object.assign(head.headers, { 'X-User': ['a', 'b'] }),
      ['Connection: , TE', 'X-User: a', 'X-User: b'],
    ],
    ['X-User, X-Other', (head) => head.set('X-Third', 'c'), ['Connection: X-User, X-Other', 'X-Third: c']],
    // Hop-by-hop fields stay in Connection.
    [
      'Upgrade, TE',
      (head) => head.set('Upgrade', 'x').set('TE', 'trailers'),
      ['Connection: Upgrade, TE', 'Upgrade: x', 'TE: trailers'],
    ],
  ]
  test.for(WRITTEN)('Connection: %s', ([connection, write, lines]) => {
    const head = request(`GET / HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`)
    write(head)
    expect(sent(head)).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${lines.join('\r\n')}\r\n\r\n`)
  })

  test('even if the value is unchanged, and from each of several Connection fields', () => {
    const text = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: a, X-User\r\nX-User: bob\r\nconnection: x-user\r\n\r\n'
    const head = request(text)
    head.set('X-User', 'bob')
    expect(sent(head)).toBe('GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nX-User: bob\r\n\r\n')
  })
})
