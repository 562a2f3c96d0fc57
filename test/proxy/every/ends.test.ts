import { describe, expect, test, vi } from 'vitest'
import { DROP_FREELY_BYTES } from '../../../src/proxy/tunnel/discard.ts'
import { Flood } from '../../helpers/flood.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, left, meet, response, serve, start } from './support.ts'

expectNoWarnings()

const POST = head('Content-Length: 5\r\n', 'POST / HTTP/1.1')
const CLOSING = response('Content-Length: 2\r\nConnection: close\r\n', 'ok')

describe('a client that leaves', () => {
  test('by a FIN after a whole request gets its answer and a FIN', async () => {
    const { backend, client, watch } = await start()
    client.end(`${POST}hello`)
    await serve(backend, OK, 'hello')
    expect(await client.ended()).toBe(CLOSING)
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('by a FIN after a whole request is told to the backend, and gets the answer that comes nevertheless', async () => {
    for (const isLate of [false, true]) {
      const { backend, client, watch } = await start()
      if (isLate) client.write(head())
      else client.end(head())
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      if (isLate) client.end()
      expect(await peer.ended()).toBe(head())
      peer.end(OK)
      expect(await client.ended()).toBe(CLOSING)
      await watch.until('close')
      expect(watch.codes).toEqual([])
    }
  })

  test('by a FIN during a response is told to the backend', async () => {
    const { client, peer, watch } = await meet(head())
    peer.write(response('Transfer-Encoding: chunked\r\n', '4\r\npart\r\n'))
    await client.until('part')
    client.end()
    expect(await peer.ended()).toBe(head())
    peer.end()
    await client.closed()
    expect(watch.codes).toEqual(['CLIENT_GONE'])
  })

  test('by a FIN while its response is awaited is not blamed on the backend, and the request is not sent again', async () => {
    for (const how of ['a FIN', 'a reset']) {
      const { client, peer, watch, backend } = await meet(head())
      await serve(peer, OK)
      await client.until('ok')
      client.received = Buffer.alloc(0)
      client.end(head())
      expect(await peer.ended()).toBe(head())
      if (how === 'a FIN') peer.end()
      else peer.reset()
      await client.closed()
      expect([client.text, watch.codes, backend.accepted]).toEqual(['', ['CLIENT_GONE'], 1])
    }
  })

  test('by a FIN between two requests gets a FIN, and the backend does not notice', async () => {
    const { client, peer, watch } = await meet(head())
    peer.write(OK)
    await client.until('ok')
    client.end()
    expect(await client.ended()).toBe(OK)
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('by a reset between two requests causes no error', async () => {
    const { client, peer, watch } = await meet(head())
    peer.write(OK)
    await client.until('ok')
    await watch.until('end')
    client.reset()
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })

  test('by a FIN inside the request body gets a 400, and the backend is reset', async () => {
    const { client, peer, watch } = await meet(`${POST}he`)
    await peer.until('he')
    client.end()
    expect(withoutDate(await client.ended())).toBe(answer('400 Bad Request', 'BAD_REQUEST_BODY'))
    await expect(peer.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BAD_REQUEST_BODY'])
  })

  test('by a FIN inside a later head gets a 400', async () => {
    const { client, peer } = await meet(head())
    peer.write(OK)
    await client.until('ok')
    client.end('GET / HT')
    expect(await client.ended()).toContain('400 Bad Request: INCOMPLETE')
  })

  test.for(['awaited', 'sent', 'awaited, with the next request held'])(
    'by a reset while its response is %s also resets the backend connection',
    async (when) => {
      const { client, peer, watch } = await meet(when.includes('held') ? head().repeat(2) : head())
      await peer.until('\r\n\r\n')
      if (when === 'sent') {
        peer.write(response('Content-Length: 9\r\n', 'part'))
        await client.until('part')
      }
      client.reset()
      await expect(peer.ended()).rejects.toThrow(/ECONNRESET/)
      await watch.until('close')
      expect(watch.codes).toEqual(['CLIENT_RESET'])
    },
  )
})

describe('a backend that leaves', () => {
  const PARTS: [what: string, sent: string][] = [
    ['a length', response('Content-Length: 9\r\n', 'part')],
    ['chunks', response('Transfer-Encoding: chunked\r\n', '9\r\npart')],
    ['chunks between two', response('Transfer-Encoding: chunked\r\n', '4\r\npart\r\n')],
  ]

  test.for(PARTS)('by a FIN inside a response with %s resets the client', async ([, sent]) => {
    const { client, peer, watch } = await meet(head())
    peer.end(sent)
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BAD_RESPONSE_BODY'])
  })

  test.for([...PARTS, ['no length', response('', 'part')] as const])(
    'by a reset inside a response with %s resets the client',
    async ([, sent]) => {
      const { client, peer, watch } = await meet(head())
      peer.write(sent)
      await client.until('part')
      peer.reset()
      await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
      expect(watch.codes).toEqual(['BACKEND_RESET'])
    },
  )

  test.for(['a FIN', 'a reset', 'a FIN inside the head'])('by %s before its response causes a 502', async (how) => {
    const { client, peer, watch } = await meet(head())
    await peer.until('\r\n\r\n')
    if (how === 'a reset') peer.reset()
    else peer.end(how === 'a FIN' ? '' : 'HTTP/1.1 200')
    expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
    expect(watch.codes).toEqual(['NO_RESPONSE'])
  })

  test('while modify is pending delivers its response only if that is complete', async () => {
    for (const [sent, isWhole] of [
      [OK, true],
      [response('', 'until the end'), true],
      [response('Content-Length: 3\r\n', 'ok'), false],
    ] as const) {
      let go: (() => void) | undefined
      const modify = () =>
        new Promise<void>((resolve) => {
          go = resolve
        })
      const { client, peer } = await meet(head(), { modify })
      peer.end(sent)
      while (!go) await turns(1)
      await turns(20)
      go()
      if (isWhole) await client.until(sent.slice(sent.indexOf('\r\n\r\n')))
      else await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    }
  })

  test('never passes surplus bytes after its response to a client', async () => {
    const { backend, client, peer } = await meet(head())
    peer.write(`${OK}HTTP/1.1 200 OK\r\n\r\nunasked`)
    await client.until('ok')
    await left(peer)
    client.write(head())
    await serve(backend, OK)
    expect(await client.until(OK + OK)).toBe(OK + OK)
  })
})

describe('an early answer', () => {
  test('passes while the request continues, and the connection continues after both', async () => {
    const { client, peer } = await meet(`${POST}he`)
    peer.write(response('Transfer-Encoding: chunked\r\n', '2\r\nho\r\n'))
    await client.until('ho\r\n')
    client.write('llo')
    await peer.until('hello')
    peer.write('0\r\n\r\n')
    await client.until('0\r\n\r\n')
    client.received = Buffer.alloc(0)
    peer.received = Buffer.alloc(0)
    client.write(head())
    await serve(peer, OK)
    expect(await client.until('ok')).toBe(OK)
  })

  test('that is complete has Connection: close, and closes the client after the rest of its request', async () => {
    const { client, peer, watch } = await meet(`${POST}he`)
    await peer.until('he')
    peer.write(OK)
    expect(await client.ended()).toBe(CLOSING)
    await left(peer)
    client.end('llo')
    await watch.until('close')
    expect(peer.text).not.toContain('hello')
    expect(watch.codes).toEqual([])
  })

  test('that ends after its head is sent drops the rest of the request and serves the next one', async () => {
    const { backend, client, peer } = await meet(`${POST}he`)
    peer.write(response('Content-Length: 2\r\n', 'o'))
    await client.until('\r\n\r\no')
    peer.write('k')
    expect(await client.until('ok')).toBe(OK)
    await left(peer)
    client.write(`llo${head()}`)
    await serve(backend, OK)
    expect(await client.until(OK + OK)).toBe(OK + OK)
    expect(peer.text).not.toContain('llo')
  })

  test('that ends after its head is sent slows down a client that continues to send', async () => {
    const body = 'Content-Length: 99999999999\r\n'
    const { client, peer, watch } = await meet(head(body, 'POST / HTTP/1.1'))
    peer.write(response('Content-Length: 2\r\n', 'o'))
    await client.until('\r\n\r\no')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      peer.write('k')
      await client.until('ok')
      await left(peer)
      const { connection } = watch.all('connected')[0]!
      const flood = new Flood(client.socket, 1 << 30)
      while (connection.bytesRead < DROP_FREELY_BYTES) await turns(1)
      for (let pauses = 1; pauses < 4; pauses++) {
        await turns(100)
        // One read more for each pause.
        expect(connection.bytesRead).toBeLessThan(DROP_FREELY_BYTES + (1 + pauses) * (1 << 18))
        vi.advanceTimersByTime(10)
      }
      vi.advanceTimersByTime(5_000)
      await client.ended()
      await turns(5)
      vi.advanceTimersByTime(5_000)
      await client.closed()
      await watch.until('close')
      expect(flood.sent).toBeLessThan(1 << 28)
      expect(watch.codes).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  test('closes a client that continues to send for 5 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { client, peer, watch } = await meet(`${POST}he`)
      peer.write(response('Content-Length: 2\r\n', 'o'))
      await client.until('\r\n\r\no')
      peer.write('k')
      await client.until('ok')
      await left(peer)
      vi.advanceTimersByTime(5_000)
      expect(await client.ended()).toBe(OK)
      client.end()
      await watch.until('close')
    } finally {
      vi.useRealTimers()
    }
  })
})

test('an HTTP/1.0 client gets no interim head', async () => {
  const { client, peer } = await meet(head('', 'GET / HTTP/1.0'))
  await peer.until('\r\n\r\n')
  peer.end(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${OK}`)
  expect(await client.ended()).toBe(CLOSING)
})

test('large bodies pass both ways, and the connection continues', async () => {
  const size = 2_000_000
  const { client, peer } = await meet(head(`Content-Length: ${size}\r\n`, 'POST / HTTP/1.1'))
  client.write(Buffer.alloc(size, 'u'))
  await peer.until('\r\n\r\nu')
  expect((await peer.untilLength(peer.text.indexOf('\r\n\r\n') + 4 + size)).at(-1)).toBe('u'.charCodeAt(0))
  const sent = response(`Content-Length: ${size}\r\n`)
  peer.write(sent)
  peer.write(Buffer.alloc(size, 'd'))
  expect((await client.untilLength(sent.length + size)).length).toBe(sent.length + size)
  client.received = Buffer.alloc(0)
  peer.received = Buffer.alloc(0)
  client.write(head())
  await serve(peer, OK)
  expect(await client.until('ok')).toBe(OK)
})
