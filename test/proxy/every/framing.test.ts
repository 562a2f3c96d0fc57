import { describe, expect, test } from 'vitest'
import type { Head } from '../../../src/index.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../../helpers/proxy.ts'
import { head, host, left, meet, response, serve, start } from './support.ts'

expectNoWarnings()

const POST = head('Content-Length: 5\r\n', 'POST / HTTP/1.1')
const UPGRADE = head('Connection: Upgrade\r\nUpgrade: x\r\n')
const first = (line: string) => (head: Head) => {
  head.first = line
}
const set = (name: string, value: string) => (head: Head) => void head.set(name, value)
const append = (name: string, value: string) => (head: Head) => void head.append(name, value)
const drop = (name: string) => (head: Head) => void head.delete(name)

describe('a change to a request head', () => {
  const CHANGES: [name: string, request: string, change: (head: Head) => void, message: RegExp][] = [
    ['version', POST, first('POST / HTTP/1.0'), /the version/],
    ['Content-Length', POST, set('Content-Length', '6'), /Content-Length/],
    ['a second Content-Length', POST, append('Content-Length', '5'), /Content-Length/],
    ['no Content-Length', POST, drop('Content-Length'), /Content-Length/],
    ['a new Content-Length', head(), set('Content-Length', '0'), /Content-Length/],
    ['Transfer-Encoding', POST, set('Transfer-Encoding', 'chunked'), /Transfer-Encoding/],
    ['Connection', POST, set('Connection', 'close'), /Connection/],
    ['Connection of an upgrade', UPGRADE, drop('Connection'), /Connection/],
    ['Upgrade', UPGRADE, set('Upgrade', 'y'), /Upgrade/],
    ['a new Upgrade', POST, set('Upgrade', 'y'), /Upgrade/],
    ['the method to HEAD', head(), first('HEAD / HTTP/1.1'), /the method to or from HEAD or CONNECT/],
    ['the method from HEAD', head('', 'HEAD / HTTP/1.1'), first('GET / HTTP/1.1'), /the method/],
    ['the method to CONNECT', head(), first('CONNECT a:80 HTTP/1.1'), /the method/],
  ]

  test.for(CHANGES)('by lookup of %s is LOOKUP_FAILED, and nothing is sent', async ([, request, change, message]) => {
    const { backend, client, watch } = await start({
      lookup: (head) => {
        change(head)
        return { port: backend.port, host }
      },
    })
    client.write(`${request}hello`)
    const text = await client.ended()
    expect(text).toMatch(/^HTTP\/1\.1 503 /)
    expect(watch.codes).toEqual(['LOOKUP_FAILED'])
    expect((watch.all('error')[0]!.error.cause as Error).message).toMatch(message)
    expect(backend.accepted).toBe(0)
  })

  test('by lookup to an invalid start line or Host is LOOKUP_FAILED', async () => {
    for (const change of [append('Host', 'b'), set('Host', 'a b'), first('GET //a:b:c HTTP/1.1'), drop('Host')]) {
      const { backend, client, watch } = await start({
        lookup: (head) => {
          change(head)
          head.first = head.first.replace('//a:b:c', 'a:b:c')
          return { port: backend.port, host }
        },
      })
      client.write(head())
      expect(await client.ended()).toMatch(/^HTTP\/1\.1 503 /)
      expect(watch.codes).toEqual(['LOOKUP_FAILED'])
      expect(backend.accepted).toBe(0)
    }
  })

  test('by lookup of anything else is allowed, also removing a field and setting it again', async () => {
    const { backend, client } = await start({
      lookup: (head) => {
        head.first = 'PUT /other HTTP/1.1'
        head.set('Host', 'b')
        head.delete('Content-Length')
        head.set('Content-Length', '5')
        return { port: backend.port, host }
      },
    })
    client.write(`${POST}hello`)
    expect(await serve(backend, OK, 'hello')).toBe('PUT /other HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello')
    expect(await client.until('ok')).toBe(OK)
  })

  test('by errback is checked too', async () => {
    const { backend, client, watch } = await start({
      lookup: () => undefined,
      errback: (error, _dest, head) => {
        if (error.code === 'LOOKUP_FAILED') return undefined
        head.set('Content-Length', '6')
        return { port: backend.port, host }
      },
    })
    client.write(`${POST}hello`)
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['NO_DESTINATION', 'LOOKUP_FAILED'])
    expect(backend.accepted).toBe(0)
  })
})

describe('a change to a response head', () => {
  const NONE = response('Content-Length: 5\r\n', '', '304 Not Modified')
  const CHANGES: [name: string, response: string, change: (head: Head) => void, message: RegExp][] = [
    ['version', OK, first('HTTP/1.0 200 OK'), /the version/],
    ['Content-Length', OK, set('Content-Length', '6'), /Content-Length/],
    ['no Content-Length', OK, drop('Content-Length'), /Content-Length/],
    ['Transfer-Encoding', OK, set('Transfer-Encoding', 'chunked'), /Transfer-Encoding/],
    ['Connection', OK, set('Connection', 'close'), /Connection/],
    ['Upgrade', OK, set('Upgrade', 'x'), /Upgrade/],
    ['status to 204', OK, first('HTTP/1.1 204 No Content'), /the status to or from 1xx, 204 or 304/],
    ['status to 101', OK, first('HTTP/1.1 101 x'), /the status/],
    ['status from 304', NONE, first('HTTP/1.1 200 OK'), /the status/],
    ['status from 304 to 204', NONE, first('HTTP/1.1 204'), /the status/],
  ]

  test.for(CHANGES)(
    'by modify of %s is MODIFY_FAILED, and the response is not sent',
    async ([, sent, change, message]) => {
      const { client, peer, watch } = await meet(head(), { modify: change })
      peer.write(sent)
      expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'MODIFY_FAILED'))
      expect(watch.codes).toEqual(['MODIFY_FAILED'])
      expect((watch.all('error')[0]!.error.cause as Error).message).toMatch(message)
    },
  )

  test('by modify to another status is allowed', async () => {
    const { client, peer } = await meet(head(), { modify: first('HTTP/1.1 404 Not Found') })
    peer.write(OK)
    expect(await client.until('ok')).toBe(OK.replace('200 OK', '404 Not Found'))
  })
})

describe('hop-by-hop fields', () => {
  const REQUESTS: [fields: string, sent: string, first?: string][] = [
    ['', ''],
    ['Connection: x, close\r\nX: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n', ''],
    ['Connection: , ,\r\n', ''],
    ['TE: trailers\r\n', 'TE: trailers\r\n'],
    ['TE: gzip, trailers\r\n', 'TE: trailers\r\n'],
    ['TE: gzip\r\n', ''],
    ['HTTP2-Settings: x\r\n', ''],
    ['Connection: keep-alive\r\n', 'Connection: keep-alive\r\n', 'GET / HTTP/1.0'],
    ['Connection: close\r\n', '', 'GET / HTTP/1.0'],
  ] // biome-ignore format: a case a line

  test.for(REQUESTS)('are removed from a request before lookup sees it: %j', async ([fields, sent, line]) => {
    let seen = ''
    const { backend, client } = await start({
      lookup: (head) => {
        seen = [...head].map(([name]) => name).join()
        return { port: backend.port, host }
      },
    })
    client.write(head(fields, line))
    expect(await serve(backend, OK)).toBe(head(sent, line))
    expect(seen).not.toMatch(/X|Keep-Alive|Proxy-Connection|HTTP2-Settings/)
  })

  test('are still in the request that modify sees', async () => {
    const came = head('Connection: x\r\nX: 1\r\n')
    const { client, peer } = await meet(came, {
      modify: (head, _dest, request) => void head.set('X-Came', request.bytes().toString('base64')),
    })
    peer.write(OK)
    expect(await client.until('ok')).toContain(`X-Came: ${Buffer.from(came).toString('base64')}\r\n`)
  })

  test.for([
    'a b',
    '"x"',
    'host',
    'x, Content-Length',
    'Transfer-Encoding',
    'cookie',
    'Authorization',
    'X-Forwarded-For',
  ])('are a 400 if Connection names %j', async (value) => {
    const { client, backend } = await start()
    client.write(head(`Connection: ${value}\r\n`))
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 400 /)
    expect(backend.accepted).toBe(0)
  })
})

describe('a malformed body', () => {
  const CHUNKED = head('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.1')

  test.for(['at once', 'later'])('of a request is answered with 400, if it arrives %s', async (when) => {
    const { client, peer, watch } = await meet(when === 'later' ? CHUNKED : `${CHUNKED}x\r\n`)
    if (when === 'later') client.write('x\r\n')
    expect(withoutDate(await client.ended())).toBe(answer('400 Bad Request', 'BAD_REQUEST_BODY'))
    expect(watch.codes).toEqual(['BAD_REQUEST_BODY'])
    await left(peer)
  })

  test('of a request resets both sides with an error if the response head has been sent', async () => {
    const { client, peer, watch } = await meet(`${CHUNKED}2\r\nok\r\n`)
    peer.write(response('Content-Length: 9\r\n', 'early'))
    await client.until('early')
    client.write('x\r\n')
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    await expect(peer.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BAD_REQUEST_BODY'])
  })

  test.for(['at once', 'later'])('of a response resets the client, if it arrives %s', async (when) => {
    const { client, peer, watch } = await meet(head())
    const start = response('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n')
    if (when === 'later') {
      peer.write(start)
      await client.until('ok')
      peer.write('x\r\n')
    } else peer.write(`${start}x\r\n`)
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BAD_RESPONSE_BODY'])
  })
})

test.each([
  ['204 No Content', 'Transfer-Encoding: chunked\r\n'],
  ['204 No Content', 'Content-Length: 0\r\n'],
])('removes framing fields from a response without a body: %s, %j', async (status, fields) => {
  const { peer, client } = await meet(head())
  await serve(peer, response(`${fields}X-A: 1\r\n`, '', status))
  expect(await client.until('\r\n\r\n')).toBe(response('X-A: 1\r\n', '', status))
})

test('removes framing and hop-by-hop fields from an interim response', async () => {
  const { peer, client } = await meet(head())
  const interim = 'Content-Length: 5\r\nConnection: close, X-B\r\nX-B: 1\r\nKeep-Alive: timeout=5\r\nLink: </a>\r\n'
  await serve(peer, `${response(interim, '', '103 Early Hints')}${OK}`)
  expect(await client.until(OK)).toBe(`${response('Link: </a>\r\n', '', '103 Early Hints')}${OK}`)
})
