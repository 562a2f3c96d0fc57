import { describe, expect, test } from 'vitest'
import { connect, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, OK } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, meet, response, serve } from './support.ts'

expectNoWarnings()

// A chunked response to an HTTP/1.0 client: it gets the data up to the end of its connection (RFC 9112 6.1).

const OLD = head('Connection: keep-alive\r\n', 'GET / HTTP/1.0')
const CHUNKED = response('Transfer-Encoding: chunked\r\n')
const CLOSING = response('Connection: close\r\n')

const chunk = (data: string, extension = '') => `${data.length.toString(16)}${extension}\r\n${data}\r\n`

async function send(peer: Peer, answer: string, step = answer.length): Promise<void> {
  await peer.until('\r\n\r\n')
  for (let i = 0; i < answer.length; i += step) {
    peer.write(answer.slice(i, i + step))
    if (step < answer.length) await turns(2)
  }
}

describe('an HTTP/1.0 client gets the data of chunks', () => {
  const body = `${chunk('hello ', ';a=b')}${chunk('big ')}${chunk('world')}0\r\nX-Sum: 1\r\n\r\n`
  test.each([Number.POSITIVE_INFINITY, 20, 1])('that come in pieces of %f bytes', async (step) => {
    const { client, peer, watch } = await meet(OLD)
    const answer = response('Trailer: X-Sum\r\nTransfer-Encoding: Chunked\r\nConnection: keep-alive\r\n', body)
    await send(peer, answer, Math.min(step, answer.length))
    expect(await client.ended()).toBe(`${CLOSING}hello big world`)
    expect(watch.codes).toEqual([])
  })

  test('that are empty', async () => {
    const { client, peer } = await meet(OLD)
    await send(peer, `${CHUNKED}0\r\n\r\n`)
    expect(await client.ended()).toBe(CLOSING)
  })

  test('that are large, at its own pace', async () => {
    const { client, peer } = await meet(OLD)
    const size = 3_000_000
    client.socket.pause()
    await peer.until('\r\n\r\n')
    peer.write(CHUNKED)
    for (let sent = 0; sent < size; sent += 100_000) peer.write(chunk(String(sent % 7).repeat(100_000)))
    peer.write('0\r\n\r\n')
    await turns(20)
    client.socket.resume()
    const data = (await client.ended()).slice(CLOSING.length)
    expect(data.length).toBe(size)
    for (let sent = 0; sent < size; sent += 100_000)
      expect(data.slice(sent, sent + 100_000) === String(sent % 7).repeat(100_000)).toBe(true)
  })

  test('that are many and small', async () => {
    const { client, peer } = await meet(OLD)
    await send(peer, `${CHUNKED}${chunk('x')}`)
    await client.until('\r\n\r\nx')
    const letters = Array.from({ length: 30_000 }, (_, i) => 'abcdefg'[i % 7]!)
    peer.write(`${letters.map((letter) => chunk(letter)).join('')}0\r\n\r\n`)
    expect(await client.ended()).toBe(`${CLOSING}x${letters.join('')}`)
  })
})

test('a backend connection continues after chunks for an HTTP/1.0 client', async () => {
  const { client, peer, port } = await meet(OLD)
  // A 1.0 request persists at the backend only if that says keep-alive.
  await serve(peer, response('Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\n\r\n'))
  expect(await client.ended()).toBe(`${CLOSING}hi`)
  const other = await connect(port)
  other.write(head())
  await serve(peer, OK)
  expect(await other.until(OK)).toBe(OK)
})

test.each([
  ['has invalid framing', 'zz\r\n', 'BAD_RESPONSE_BODY'],
  ['ends early', '', 'BAD_RESPONSE_BODY'],
])('resets an HTTP/1.0 client if a chunked body %s', async (_, rest, code) => {
  const { client, peer, watch } = await meet(OLD)
  await send(peer, `${CHUNKED}${chunk('hi')}`)
  await client.until('\r\n\r\nhi')
  if (rest) peer.write(rest)
  else peer.socket.end()
  await expect(client.ended()).rejects.toThrow('ECONNRESET')
  expect(watch.codes).toEqual([code])
})

test('a head without a body names no chunks to an HTTP/1.0 client', async () => {
  const { client, peer } = await meet(head('Connection: keep-alive\r\n', 'HEAD / HTTP/1.0'))
  await serve(peer, CHUNKED)
  expect(await client.until('\r\n\r\n')).toBe(response('Connection: keep-alive\r\n'))
})

test('an HTTP/1.0 client learns about a coding below the chunks', async () => {
  const { client, peer } = await meet(OLD)
  await serve(peer, response('Transfer-Encoding: gzip, chunked\r\n', '2\r\nhi\r\n0\r\n\r\n'))
  expect(await client.ended()).toBe(response('Transfer-Encoding: gzip\r\nConnection: close\r\n', 'hi'))
})

test('modify sees the head without chunks that an HTTP/1.0 client gets', async () => {
  const seen: (string | undefined)[] = []
  const modify = (sent: { get(name: string): string | undefined }) => void seen.push(sent.get('transfer-encoding'))
  const { client, peer } = await meet(OLD, { modify })
  await serve(peer, `${CHUNKED}2\r\nhi\r\n0\r\n\r\n`)
  expect(await client.ended()).toBe(`${CLOSING}hi`)
  expect(seen).toEqual([undefined])
})
