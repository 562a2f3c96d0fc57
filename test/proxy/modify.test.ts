import { describe, expect, test } from 'vitest'
import type { Head, ProxyOptions } from '../../src/index.ts'
import { Backend, connect, type Peer } from '../helpers/net.ts'
import { answer, ask, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const BAD = (code: string) => answer('502 Bad Gateway', code)
type Modify = NonNullable<ProxyOptions['modify']>

/** A connected client and backend, after the request has arrived. */
async function meet(modify: Modify, limits: Partial<ProxyOptions> = {}, request = GET) {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), modify, ...limits })
  const client = await connect(port)
  client.write(request)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  return { watch, client, peer }
}

/** Sends the pieces one by one. Each is read before the next is sent. */
async function sendApart(peer: Peer, pieces: string[]): Promise<void> {
  for (const piece of pieces) {
    await peer.flush(piece)
    await turns(3)
  }
}

/** A head with a Via field at its end, and what follows it. */
const marked = (text: string, via: string) => text.replace('\r\n\r\n', `\r\nVia: ${via}\r\n\r\n`)

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'

/** Interim heads, the final head, and the status that modify must see. */
const CONVERSATIONS: [name: string, interim: string, final: string, status: number][] = [
  ['a final head alone', '', OK, 200],
  ['100, then 200', CONTINUE, OK, 200],
  ['100, then 413', CONTINUE, 'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n', 413],
  ['100, 103, 200', CONTINUE + HINTS, OK, 200],
  ['102 and 103 several times', `HTTP/1.1 102\r\n\r\n${HINTS.repeat(3)}`, OK, 200],
  ['199, which nobody knows', 'HTTP/1.1 199 \r\n\r\n', OK, 200],
  ['101 with frames behind it', '', `${SWITCH}\x81\x05HTTP/\r\n\r\n\x00`, 101],
  ['100, then 101', CONTINUE, `${SWITCH}frames`, 101],
  ['304 without a body', '', 'HTTP/1.1 304 Not Modified\r\n\r\n', 304],
  ['a status line without a reason phrase', '', 'HTTP/1.0 999\r\n\r\n', 999],
]

describe('modify gets the final head, and the client gets everything in order', () => {
  for (const [name, interim, final, status] of CONVERSATIONS) {
    const changed = marked(final, '1.1 badass')
    for (const [when, wait] of [
      ['at once', undefined],
      ['later', turn],
    ] as const) {
      test(`${name}; modified ${when}`, async () => {
        const seen: number[] = []
        const modify: Modify = (head) => {
          seen.push(head.status)
          const edit = () => void head.set('Via', '1.1 badass')
          return wait ? wait().then(edit) : edit()
        }
        const { client, peer } = await meet(modify)
        peer.end(interim + final)
        expect(await client.ended()).toBe(interim + changed)
        expect(seen).toEqual([status])
      })
    }
  }

  test('cut anywhere', async () => {
    const interim = CONTINUE + HINTS
    const whole = `${interim}${OK}`
    for (let at = 1; at < whole.length; at++) {
      const { client, peer } = await meet((head) => void head.set('Via', 'x'))
      await sendApart(peer, [whole.slice(0, at)])
      peer.end(whole.slice(at))
      expect(await client.ended()).toBe(interim + marked(OK, 'x'))
    }
  })

  test('byte by byte, with the interim head sent before the final one arrives', async () => {
    const { client, peer } = await meet(() => undefined)
    await sendApart(peer, [...CONTINUE])
    expect(await client.until('\r\n\r\n')).toBe(CONTINUE)
    await sendApart(peer, [...HINTS, ...OK])
    await client.until('ok')
    expect(client.text).toBe(CONTINUE + HINTS + OK)
  })

  test('thousands of interim heads at once, to a client that does not read yet', async () => {
    const { client, peer } = await meet(async (head) => {
      await turn()
      head.set('Via', 'x')
    })
    client.socket.pause()
    const many = HINTS.repeat(50_000)
    const sent = peer.flush(many + OK)
    await turns(50)
    client.socket.resume()
    await sent
    peer.end('after')
    expect((await client.ended()) === `${many}${marked(OK, 'x')}after`).toBe(true)
  })

  test('only the first response of a connection', async () => {
    let asked = 0
    const { client, peer } = await meet(() => void asked++, {}, GET + GET)
    await peer.untilLength(2 * GET.length)
    peer.end(OK + OK)
    expect(await client.ended()).toBe(OK + OK)
    expect(asked).toBe(1)
  })
})

describe('modify', () => {
  test('can edit status, reason and fields, and leaves the rest byte for byte', async () => {
    const { client, peer } = await meet((head) => {
      head.first = 'HTTP/1.1 299 Changed'
      head.delete('server')
      head.headers['Set-Cookie'] = ['a=1', 'b=2']
    })
    peer.end('HTTP/1.1 200 OK\r\nServer: x\r\nX-Odd:\t  kept \r\nSet-Cookie: old\r\n\r\nbody')
    expect(await client.ended()).toBe(
      'HTTP/1.1 299 Changed\r\nX-Odd:\t  kept \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nbody',
    )
  })

  test('gets the Dest object, and an unedited head is sent unchanged', async () => {
    const backend = await Backend.start()
    const dest = { port: backend.port, host }
    const seen: [Head, unknown, Head][] = []
    const { port } = await startProxy({ lookup: () => dest, modify: (...args) => void seen.push(args) })
    const client = await connect(port)
    client.write(GET)
    const odd = 'HTTP/1.0 200\r\nx:y\r\nX:  y \r\n\r\nbody'
    ;(await backend.next()).end(odd)
    expect(await client.ended()).toBe(odd)
    expect(seen[0]![0].kind).toBe('response')
    expect(seen[0]![1]).toBe(dest)
  })

  const cause = new Error('modify broke')
  for (const [name, modify, thrown] of [
    [
      'throws',
      () => {
        throw cause
      },
      cause,
    ],
    ['rejects', () => Promise.reject(cause), cause],
    ['rejects with nothing', () => Promise.reject(), undefined],
    ['sets an invalid value', (head: Head) => void head.set('x', 'a\nb'), expect.any(TypeError)],
  ] as [string, Modify, unknown][]) {
    test(`causes a 502 and destroys the backend if it ${name}`, async () => {
      const { client, peer, watch } = await meet(modify)
      peer.write(`${OK}more`)
      expect(withoutDate(await client.ended())).toBe(BAD('MODIFY_FAILED'))
      await peer.closed()
      const { error } = watch.all('error')[0]!
      expect(error).toMatchObject({ code: 'MODIFY_FAILED', phase: 'response', status: 502 })
      expect(error.cause).toEqual(thrown)
    })
  }

  test('may resolve to any value', async () => {
    const { client, peer } = await meet((async () => ({ not: 'used' })) as unknown as Modify)
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
  })

  for (const settle of ['resolve', 'reject'] as const) {
    test(`is ignored if it ${settle}s after the client has left`, async () => {
      let end: () => void = () => undefined
      const { client, peer, watch } = await meet(
        () =>
          new Promise<void>((resolve, reject) => {
            end = settle === 'resolve' ? resolve : () => reject(new Error('late'))
          }),
      )
      peer.write(OK)
      const { connection } = watch.all('connected')[0]!
      while (connection.state !== 'Modifying') await turn()
      client.reset()
      await watch.until('close')
      await peer.closed()
      end()
      await turns(5)
      expect(watch.codes).toEqual(['CLIENT_RESET'])
    })
  }

  for (const size of [0, 10]) {
    test(`still gets the head, ${size} bytes of body and the end to the client if the backend ends meanwhile`, async () => {
      const { client, peer, watch } = await meet(async (head) => {
        await turns(10)
        head.set('Via', 'x')
      })
      client.end()
      await peer.ended()
      await peer.flush('HTTP/1.1 200 OK\r\n\r\n')
      await turn()
      peer.end('x'.repeat(size))
      expect(await client.ended()).toBe(`HTTP/1.1 200 OK\r\nVia: x\r\n\r\n${'x'.repeat(size)}`)
      await watch.until('close')
      expect(watch.codes).toEqual([])
    })
  }

  test('still gets the head to the client before the reset if the backend resets meanwhile', async () => {
    let end: () => void = () => undefined
    const { client, peer, watch } = await meet(() => new Promise<void>((resolve) => (end = resolve)))
    await peer.flush(OK)
    const { connection } = watch.all('connected')[0]!
    while (connection.state !== 'Modifying') await turn()
    peer.reset()
    await turns(10)
    expect(connection.state).toBe('Modifying')
    end()
    await watch.until('close')
    expect(watch.codes).toEqual(['BACKEND_RESET'])
    await client.until('ok')
  })
})

describe('an invalid response', () => {
  for (const [name, bytes, cause] of [
    ['is garbage', '\x07\x08\x09', 'BAD_VERSION'],
    ['is binary', '\x00\x01\x02', 'NUL'],
    ['is a request', GET, 'BAD_VERSION'],
    ['is HTTP/0.9', '<html>', 'BAD_VERSION'],
    ['comes after an interim head', `${CONTINUE}nonsense`, 'BAD_VERSION'],
    ['has a bare LF', 'HTTP/1.1 200 OK\n\n', 'BARE_LF'],
    ['has a head over the limit', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(200)}`, 'HEAD_TOO_LARGE'],
    ['has too many fields', `HTTP/1.1 200 OK\r\n${'x:y\r\n'.repeat(5)}\r\n`, 'TOO_MANY_FIELDS'],
  ]) {
    test(`that ${name} causes a 502`, async () => {
      const { client, peer, watch } = await meet(() => undefined, { maxHeadBytes: 100, maxFields: 4 })
      peer.write(bytes!)
      const text = withoutDate(await client.ended())
      const interim = bytes!.startsWith(CONTINUE) ? CONTINUE : ''
      expect(text.startsWith(`${interim}HTTP/1.1 502 Bad Gateway\r\n`)).toBe(true)
      await peer.closed()
      const { error } = watch.all('error')[0]!
      expect(error).toMatchObject({ code: 'BAD_RESPONSE_HEAD', phase: 'response', status: 502 })
      expect(error.cause).toMatchObject({ name: 'HeadError', code: cause })
    })
  }

  for (const [name, bytes] of [
    ['before a byte of it', ''],
    ['in the middle of it', 'HTTP/1.1 200 O'],
    ['after an interim head', CONTINUE],
  ]) {
    test(`that ends ${name} causes a 502`, async () => {
      const { client, peer, watch } = await meet(() => undefined)
      peer.end(bytes)
      expect(withoutDate(await client.ended())).toBe((bytes === CONTINUE ? CONTINUE : '') + BAD('NO_RESPONSE'))
      expect(watch.all('error')[0]!.error).toMatchObject({ code: 'NO_RESPONSE', phase: 'response', status: 502 })
      await peer.closed()
    })

    test(`that is reset ${name} causes a 502`, async () => {
      const { client, peer, watch } = await meet(() => undefined)
      await sendApart(peer, [bytes!])
      peer.reset()
      expect(withoutDate(await client.ended())).toBe((bytes === CONTINUE ? CONTINUE : '') + BAD('NO_RESPONSE'))
      expect(watch.codes).toEqual(['NO_RESPONSE'])
    })
  }

  test('to a HEAD request causes a 502 without a body', async () => {
    const { client, peer } = await meet(() => undefined, {}, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    peer.end()
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 502 [\s\S]*Connection: close\r\n\r\n$/)
  })
})

test.for([
  [['Content-Length: abc'], 'BAD_CONTENT_LENGTH'],
  [['Content-Length: +5'], 'BAD_CONTENT_LENGTH'],
  [['Content-Length: 5', 'Content-Length: 6'], 'DUPLICATE_CONTENT_LENGTH'],
  [['Content-Length: 5', 'Transfer-Encoding: chunked'], 'LENGTH_AND_ENCODING'],
  [['Transfer-Encoding: @,;'], 'BAD_TRANSFER_ENCODING'],
  [['Transfer-Encoding: chunked, chunked'], 'BAD_TRANSFER_ENCODING'],
] as const)('a response with %j makes a 502', async ([fields, code]) => {
  const { client, peer, watch } = await meet(() => undefined)
  peer.write(`HTTP/1.1 200 OK\r\n${fields.join('\r\n')}\r\n\r\nhello`)
  expect(withoutDate(await client.ended())).toBe(BAD(code))
  expect(watch.codes).toEqual(['BAD_RESPONSE_HEAD'])
})

test('answers 505 to an unsupported version', async () => {
  const { port } = await startProxy(() => undefined)
  const expected = answer('505 HTTP Version Not Supported', 'UNSUPPORTED_VERSION')
  expect(withoutDate(await ask(port, 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'))).toBe(expected)
})

test('gives hooks and backend the host of an absolute-form target instead of Host', async () => {
  const backend = await Backend.start()
  const seen: unknown[] = []
  const { port } = await startProxy((head) => {
    seen.push(head.headers.Host)
    return { port: backend.port, host }
  })
  const client = await connect(port)
  client.write('POST http://b.example:81/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi')
  expect(await (await backend.next()).until('hi')).toBe(
    'POST http://b.example:81/ HTTP/1.1\r\nHost: b.example:81\r\nContent-Length: 2\r\n\r\nhi',
  )
  expect(seen).toEqual(['b.example:81'])
})

test.for(['at once', 'byte by byte'])(`answers 505 to an HTTP/2 connection with http2: 'refuse': %s`, async (how) => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  const lookup = () => {
    throw new Error('lookup was called')
  }
  const watch = new Watch()
  const { port, server } = await startProxy({ lookup, errback: lookup, http2: 'refuse' })
  const client = await connect(port)
  for (const piece of how === 'at once' ? [preface] : preface) await client.flush(piece)
  const expected = answer('505 HTTP Version Not Supported', 'HTTP2_REFUSED')
  expect(withoutDate(await client.ended())).toBe(expected)
  client.end()
  await watch.until('close')
  expect(watch.codes).toEqual(['HTTP2_REFUSED'])
  expect(server.counters.badHeads).toBe(1)
})

test.for([
  ['refuse', 'h2c', ''],
  ['refuse', 'websocket, h2c', 'Upgrade: websocket\r\n'],
  ['refuse', 'H2C, websocket', 'Upgrade: websocket\r\n'],
  ['refuse', 'websocket', 'Upgrade: websocket\r\n'],
  ['alpn', 'h2', ''],
  ['refuse', 'h2c\x85', ''],
  ['refuse', 'foo, \x85h2c', ''],
  ['refuse', 'h2c ,', ''],
  ['refuse', 'h2c, , foo', 'Upgrade: foo\r\n'],
  ['pass', 'h2c', 'Upgrade: h2c\r\n'],
] as const)('with http2: %j, Upgrade: %s reaches the backend as %j', async ([http2, offered, expected]) => {
  const backend = await Backend.start()
  const { port } = await startProxy({ lookup: () => ({ port: backend.port, host: '127.0.0.1' }), http2 })
  const client = await connect(port)
  client.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${offered}\r\n\r\nrest`)
  expect(await (await backend.next()).until('rest')).toBe(
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n${expected}\r\nrest`,
  )
})

test.for([
  ['the first 18 bytes', 'PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n'],
  ['one after an empty line', '\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
])('refuses an invalid HTTP/2 preface: %s', async ([, bytes]) => {
  const { port } = await startProxy(() => {
    throw new Error('lookup was called')
  })
  const client = await connect(port)
  client.write(bytes!)
  expect(withoutDate(await client.ended())).toBe(answer('400 Bad Request', 'BAD_PREFACE'))
})

test('passes an HTTP/2 connection unchanged, without modify', async () => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  const modify = () => {
    throw new Error('modify was called')
  }
  const { client, peer } = await meet(modify, {}, `${preface}\x00\x00\x00\x04`)
  expect(await peer.untilLength(preface.length + 4)).toEqual(Buffer.from(`${preface}\x00\x00\x00\x04`, 'latin1'))
  peer.write('\x00\x00\x00\x04\x00\x00\x00\x00\x00')
  await client.untilLength(9)
  client.write('\x00frame')
  await peer.until('frame')
})
