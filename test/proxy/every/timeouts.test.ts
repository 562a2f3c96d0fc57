import { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { connect } from '../../helpers/net.ts'
import { expectNoWarnings, OK } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, meet, response, serve, start } from './support.ts'

expectNoWarnings()

const EARLY_HINTS = 'HTTP/1.1 103 Early Hints\r\n\r\n'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** A client that has had one answer, and a proxy that waits for its next request. */
async function idle(options: Parameters<typeof meet>[1] = {}) {
  const all = await meet(head(), options)
  all.peer.write(OK)
  await all.client.until('ok')
  await all.watch.until('end')
  return all
}

test('keepAliveTimeout closes a client silently 75 s after its last answer, or up to a second later', async () => {
  const { client, watch } = await idle()
  vi.advanceTimersByTime(74_999)
  await turns(5)
  expect(client.hasEnded).toBe(false)
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toBe(OK)
  await watch.until('close')
  expect(watch.codes).toEqual([])
})

test('headTimeout of a later head counts from its first byte and answers 408', async () => {
  const { client, watch } = await idle({ headTimeout: 1_000 })
  vi.advanceTimersByTime(20_000)
  client.write('GET')
  await turns(20)
  vi.advanceTimersByTime(500)
  client.write(' / ')
  await turns(20)
  vi.advanceTimersByTime(499)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1)
  expect(await client.ended()).toContain('HTTP/1.1 408 ')
  expect(watch.codes).toEqual(['HEAD_TIMEOUT'])
})

test('responseHeadTimeout applies to a later request', async () => {
  const { client, peer, watch } = await idle({ responseHeadTimeout: 1_000 })
  client.write(head())
  await peer.untilLength(2 * head().length)
  await turns(20)
  vi.advanceTimersByTime(1_000)
  expect(await client.ended()).toContain('HTTP/1.1 504 ')
  expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
})

test('responseHeadTimeout answers 504 a minute after the request or an interim response', async () => {
  const { client, peer, watch } = await meet(head())
  await peer.until('\r\n\r\n')
  vi.advanceTimersByTime(59_999)
  peer.write(EARLY_HINTS)
  await client.until(EARLY_HINTS)
  vi.advanceTimersByTime(59_999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('HTTP/1.1 504 ')
  expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
})

test('a late interim response does not restart the time-out of a request body', async () => {
  const { client, peer, watch } = await meet(`${head('Content-Length: 9\r\n', 'POST / HTTP/1.1')}he`)
  await peer.until('he')
  vi.advanceTimersByTime(59_999)
  peer.write(EARLY_HINTS)
  await client.until(EARLY_HINTS)
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('HTTP/1.1 408 ')
  expect(watch.codes).toEqual(['REQUEST_BODY_TIMEOUT'])
})

test('bytes of a request do not restart the time-out of its response', async () => {
  const { client, peer, watch } = await meet(`${head('Content-Length: 9\r\n', 'POST / HTTP/1.1')}he`)
  peer.write(response('Content-Length: 9\r\n', 'part'))
  await client.until('part')
  vi.advanceTimersByTime(59_999)
  client.write('l')
  await peer.until('hel')
  vi.advanceTimersByTime(1_001)
  await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
  expect(watch.codes).toEqual(['RESPONSE_BODY_TIMEOUT'])
})

test('bytes of either message restart idleTimeout', async () => {
  const request = `${head('Content-Length: 9\r\n', 'POST / HTTP/1.1')}he`
  const { client, peer, watch } = await meet(request, { idleTimeout: 1_000 })
  peer.write(response('Content-Length: 9\r\n', 'part'))
  await client.until('part')
  vi.advanceTimersByTime(999)
  client.write('l')
  await peer.until('hel')
  vi.advanceTimersByTime(999)
  peer.write('y')
  await client.until('party')
  vi.advanceTimersByTime(999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1)
  await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
  expect(watch.codes).toEqual(['IDLE_TIMEOUT'])
})

test('bodyTimeout answers 504 if the backend does not read the request body', async () => {
  const backend = new Duplex({ read: () => undefined, write: () => undefined })
  const { client, watch } = await start({ lookup: () => ({ connect: () => backend }) })
  client.write(head('Content-Length: 9999999\r\n', 'POST / HTTP/1.1'))
  client.write(Buffer.alloc(1_000_000))
  while (!backend.writableNeedDrain) await turns(1)
  vi.advanceTimersByTime(59_999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1_001)
  await client.until('HTTP/1.1 504 ')
  expect(watch.codes).toEqual(['REQUEST_SEND_TIMEOUT'])
})

test('a client that waits for a 100 response waits for the backend', async () => {
  const request = head('Content-Length: 9\r\nExpect: 100-continue\r\n', 'POST / HTTP/1.1')
  const { client, peer, watch } = await meet(request, { bodyTimeout: 1_000 })
  await peer.until('\r\n\r\n')
  vi.advanceTimersByTime(59_999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('HTTP/1.1 504 ')
  expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
})

test.each(['a 100 response', 'the first byte'])('bodyTimeout of an expecting client starts with %s', async (what) => {
  const request = head('Content-Length: 9\r\nExpect: 100-continue\r\n', 'POST / HTTP/1.1')
  const { client, peer, watch } = await meet(request, { bodyTimeout: 1_000 })
  await peer.until('\r\n\r\n')
  vi.advanceTimersByTime(59_999)
  if (what === 'a 100 response') {
    peer.write('HTTP/1.1 100 Continue\r\n\r\n')
    await client.until('\r\n\r\n')
  } else {
    client.write('h')
    await peer.until('\r\n\r\nh')
  }
  vi.advanceTimersByTime(999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('HTTP/1.1 408 ')
  expect(watch.codes).toEqual(['REQUEST_BODY_TIMEOUT'])
})

test('bodyTimeout answers 408 a minute after the last byte of a stalled request body', async () => {
  const { client, peer, watch } = await meet(`${head('Content-Length: 9\r\n', 'POST / HTTP/1.1')}he`)
  await peer.until('he')
  vi.advanceTimersByTime(59_999)
  client.write('l')
  await peer.until('hel')
  vi.advanceTimersByTime(59_999)
  await turns(5)
  expect(watch.codes).toEqual([])
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('HTTP/1.1 408 ')
  expect(watch.codes).toEqual(['REQUEST_BODY_TIMEOUT'])
})

test('bodyTimeout does not apply to a response head, nor responseHeadTimeout to a request body', async () => {
  const request = `${head('Content-Length: 3\r\n', 'POST / HTTP/1.1')}he`
  const { client, peer, watch } = await meet(request, { bodyTimeout: 1_000, responseHeadTimeout: 500 })
  await peer.until('he')
  vi.advanceTimersByTime(999)
  client.write('l')
  await peer.until('hel')
  vi.advanceTimersByTime(499)
  peer.write(OK)
  expect(await client.until('ok')).toBe(OK)
  const other = await meet(head(), { bodyTimeout: 1_000, responseHeadTimeout: 0 })
  await other.peer.until('\r\n\r\n')
  vi.advanceTimersByTime(60_000)
  other.peer.write(OK)
  expect(await other.client.until('ok')).toBe(OK)
  expect(watch.codes).toEqual([])
})

test('bodyTimeout resets the client if a response body stalls', async () => {
  const { client, peer, watch } = await meet(head())
  peer.write(response('Content-Length: 9\r\n', 'part'))
  await client.until('part')
  vi.advanceTimersByTime(61_000)
  await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
  expect(watch.codes).toEqual(['RESPONSE_BODY_TIMEOUT'])
})

test('bodyTimeout resets a client that does not read its response', async () => {
  const { client, peer, watch } = await meet(head())
  client.socket.pause()
  peer.write(response('Content-Length: 99999999\r\n'))
  peer.write(Buffer.alloc(30_000_000))
  for (let before = -1; before !== peer.socket.bytesWritten; await turns(200)) before = peer.socket.bytesWritten
  vi.advanceTimersByTime(61_000)
  await watch.until('close')
  expect(watch.codes).toEqual(['RESPONSE_BODY_TIMEOUT'])
})

test('a drain closes clients idle for a second at once, and others after their answer or a second', async () => {
  const { client, watch, server } = await idle()
  vi.advanceTimersByTime(1_000)
  const drained = server.drain()
  expect(await client.ended()).toBe(OK)
  await Promise.all([drained, watch.until('close')])
  expect(watch.codes).toEqual([])
})

test('a drain lets an exchange end with Connection: close', async () => {
  const { client, peer, server, watch } = await meet(head())
  const drained = server.drain()
  peer.write(OK)
  expect(await client.ended()).toBe(response('Content-Length: 2\r\nConnection: close\r\n', 'ok'))
  client.end()
  await drained
  expect(watch.codes).toEqual([])
})

test('a drain waits a second for the next request of a client that has just had an answer', async () => {
  const { client, peer, server } = await idle()
  const drained = server.drain()
  client.write(head())
  await peer.untilLength(2 * head().length)
  peer.write(OK)
  expect(await client.ended()).toBe(OK + response('Content-Length: 2\r\nConnection: close\r\n', 'ok'))
  client.end()
  await drained
})

test.each(['drain', 'drainConnections'] as const)(
  '%s closes a client after the response that it has begun, or after its next request',
  async (method) => {
    const { client, peer, server } = await meet(head())
    await peer.until('\r\n\r\n')
    const begun = response('Content-Length: 4\r\n', 'ab')
    peer.write(begun)
    await client.until('ab')
    const drained = server[method]()
    peer.write('cd')
    await client.until('abcd')
    // The response did not announce the end, so the client may have sent another request already.
    client.write(head())
    await peer.untilLength(2 * head().length)
    peer.write(OK)
    expect(await client.ended()).toBe(`${begun}cd${response('Content-Length: 2\r\nConnection: close\r\n', 'ok')}`)
    client.end()
    await drained
  },
)

test('drainConnections closes clients idle for a second at once, and others a second later', async () => {
  const { client, watch, server, port, peer } = await idle()
  vi.advanceTimersByTime(1_000)
  const recent = await connect(port)
  recent.write(head())
  await peer.untilLength(2 * head().length)
  peer.write(OK)
  await recent.until('ok')
  await watch.until('end', 2)
  server.drainConnections()
  expect(await client.ended()).toBe(OK)
  vi.advanceTimersByTime(999)
  await turns(5)
  expect(recent.hasEnded).toBe(false)
  vi.advanceTimersByTime(1)
  expect(await recent.ended()).toBe(OK)
  expect(watch.codes).toEqual([])
})

test('drainConnections lets a client that has sent nothing send one request, however late', async () => {
  const { client, server, backend } = await start()
  server.drainConnections()
  vi.advanceTimersByTime(10_000)
  client.write(head())
  await serve(backend, OK)
  expect(await client.ended()).toBe(response('Content-Length: 2\r\nConnection: close\r\n', 'ok'))
  client.end()
})

test('drainConnections goes on accepting, and serves one request of each client', async () => {
  const { server, port, backend } = await start()
  server.drainConnections()
  const late = await connect(port)
  late.write(head())
  await serve(backend, OK)
  expect(await late.ended()).toMatch(/\r\nConnection: close\r\n/)
  late.end()
})

test('drainConnections leaves a tunnel alone', async () => {
  const upgrade = 'Connection: Upgrade\r\nUpgrade: x\r\n'
  const { client, peer, server } = await meet(head(upgrade))
  await serve(peer, response(upgrade, '', '101 Switching Protocols'))
  await client.until('\r\n\r\n')
  server.drainConnections()
  vi.advanceTimersByTime(10_000)
  client.write('up')
  expect(await peer.until('up')).toBe('up')
  peer.end()
  client.end()
  await client.ended()
})
