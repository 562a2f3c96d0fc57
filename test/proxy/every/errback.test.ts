import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Dest, ProxyError, ProxyOptions } from '../../../src/index.ts'
import { Backend, connect, deadPort } from '../../helpers/net.ts'
import { answer, expectNoWarnings, OK, startProxy, Watch, withoutDate } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, serve, start } from './support.ts'

expectNoWarnings()

afterEach(() => void vi.useRealTimers())

const GET = head()
const POST = `${head('Content-Length: 5\r\n', 'POST / HTTP/1.1')}hello`
const NO_RESPONSE = answer('502 Bad Gateway', 'NO_RESPONSE')

type Errback = NonNullable<ProxyOptions['errback']>

/** A proxy whose backend fails. Notes what errback was asked. */
async function failing(errback: Errback, options: Partial<ProxyOptions> = {}) {
  const asked: [code: string, requestSent: boolean][] = []
  const noted: Errback = (error, dest, request) => {
    asked.push([error.code, error.requestSent])
    return errback(error, dest, request)
  }
  return { ...(await start({ errback: noted, ...options })), asked }
}

/** The same, with an idle backend connection that its client has used. */
async function idle(errback: Errback) {
  const all = await failing(errback)
  all.client.write(GET)
  const peer = await all.backend.next()
  await serve(peer, OK)
  await all.client.until(OK)
  all.client.received = Buffer.alloc(0)
  return { ...all, peer }
}

describe('errback after a request was sent', () => {
  test('sends a request that may be sent twice to another Dest', async () => {
    const other = await Backend.start()
    const { backend, client, asked } = await failing(() => ({ port: other.port, host }))
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    peer.end()
    expect(await serve(other, OK)).toBe(GET)
    expect(await client.until('ok')).toBe(OK)
    expect(asked).toEqual([['NO_RESPONSE', true]])
    // The connection continues.
    client.received = Buffer.alloc(0)
    client.write(GET)
    await serve(backend, OK)
    expect(await client.until('ok')).toBe(OK)
  })

  test('runs after a failed replay, too', async () => {
    const other = await Backend.start()
    const { backend, client, peer, asked } = await idle(() => ({ port: other.port, host }))
    client.write(GET)
    await peer.until(GET)
    peer.end()
    const again = await backend.next()
    await again.until(GET)
    again.end()
    expect(await serve(other, OK)).toBe(GET)
    expect(await client.until('ok')).toBe(OK)
    expect(asked).toEqual([['NO_RESPONSE', true]])
  })

  test('knows about the first try if the connect of a replay fails', async () => {
    const { backend, client, peer, asked } = await idle(() => new Response('gone'))
    backend.server.close()
    client.write(GET)
    await peer.until(GET)
    peer.end()
    await client.until('gone')
    expect(asked).toEqual([['CONNECT_FAILED', true]])
  })

  test('never sends another request twice', async () => {
    const other = await Backend.start()
    const { backend, client, asked } = await failing(() => ({ port: other.port, host }))
    client.write(POST)
    const peer = await backend.next()
    await peer.until('hello')
    peer.end()
    expect(withoutDate(await client.ended())).toBe(NO_RESPONSE)
    expect(asked).toEqual([['NO_RESPONSE', true]])
    expect(other.accepted).toBe(0)
  })

  test('never sends a request twice to a Dest that forbids it', async () => {
    const other = await Backend.start()
    const { backend, client } = await failing(() => ({ port: other.port, host, retry: false }))
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    peer.end()
    expect(withoutDate(await client.ended())).toBe(NO_RESPONSE)
    expect(other.accepted).toBe(0)
  })

  test('leaves the answer to the engine if it returns nothing', async () => {
    const { backend, client, watch } = await failing(() => undefined)
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    peer.end()
    expect(withoutDate(await client.ended())).toBe(NO_RESPONSE)
    expect(watch.codes).toEqual(['NO_RESPONSE'])
  })

  test('leaves the answer to the engine if it throws', async () => {
    const { backend, client, watch, server } = await failing(() => {
      throw new Error('no')
    })
    server.on('proxyError', () => undefined)
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    peer.end()
    expect(withoutDate(await client.ended())).toBe(NO_RESPONSE)
    expect(watch.codes).toEqual(['NO_RESPONSE', 'ERRBACK_FAILED'])
  })

  test.each([
    ['a Response', () => new Response('sorry', { status: 502 }), 'sorry'],
    ['nothing', () => undefined, undefined],
    ['a Dest', () => ({ port: 1, host }), undefined],
  ])("returns %s for a POST whose client's connection to the backend failed", async (_, errback, text) => {
    const { backend, client, peer, asked, watch } = await idle(errback)
    client.write(POST)
    await peer.until('hello')
    peer.reset()
    if (text) {
      await client.until(text)
      client.received = Buffer.alloc(0)
      client.write(GET)
      await serve(backend, OK)
      expect(await client.until('ok')).toBe(OK)
    } else await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(asked).toEqual([['BACKEND_RESET', true]])
    expect(watch.codes).toEqual(['BACKEND_RESET'])
  })

  test('answers an upload that is under way, and the connection closes', async () => {
    const { backend, client, watch } = await failing(async () => new Response('sorry', { status: 502 }))
    client.write(`${head('Content-Length: 100000\r\n', 'PUT / HTTP/1.1')}part`)
    const peer = await backend.next()
    await peer.until('part')
    peer.end()
    expect(await client.until('sorry')).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n(?:.+\r\n)*Connection: close\r\n/)
    client.write('GET / HTTP/1.1\r\n\r\n')
    await client.ended()
    client.end()
    await watch.until('close')
    expect(watch.codes).toEqual(['NO_RESPONSE'])
    expect(backend.accepted).toBe(1)
  })

  test('sends a request on after responseHeadTimeout', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
    const other = await Backend.start()
    const { backend, client, asked } = await failing(() => ({ port: other.port, host }))
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    await turns(5)
    vi.advanceTimersByTime(61_000)
    expect(await serve(other, OK)).toBe(GET)
    expect(await client.until('ok')).toBe(OK)
    expect(asked).toEqual([['RESPONSE_HEAD_TIMEOUT', true]])
  })

  test('is not asked about a fault of the client or of modify', async () => {
    const errors: ProxyError[] = []
    const modify = () => {
      throw new Error('no')
    }
    const { backend, client, port, asked, server } = await failing(() => new Response('no'), { modify })
    server.on('proxyError', (error) => void errors.push(error))
    client.write(`${head('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.1')}zz\r\n`)
    await backend.next()
    expect(await client.ended()).toContain('HTTP/1.1 400 ')
    const second = await connect(port)
    second.write(GET)
    await serve(backend, OK)
    expect(await second.ended()).toContain('HTTP/1.1 502 ')
    expect(asked).toEqual([])
    expect(errors.map(({ code, requestSent }) => [code, requestSent])).toEqual([
      ['BAD_REQUEST_BODY', true],
      ['MODIFY_FAILED', true],
    ])
  })
})

describe('requestSent is false', () => {
  test('while no backend was reached', async () => {
    const dests: (Dest | undefined)[] = [{ port: await deadPort(), host }, undefined]
    const { asked, port, watch } = await failing(() => new Response('no'), { lookup: () => dests.shift() })
    for (let i = 1; i <= 2; i++) {
      const client = await connect(port)
      client.write(POST)
      await client.until('no')
    }
    expect(watch.codes).toEqual(['CONNECT_FAILED', 'NO_DESTINATION'])
    expect(asked).toEqual([
      ['CONNECT_FAILED', false],
      ['NO_DESTINATION', false],
    ])
  })

  test('for a bad head after another request', async () => {
    const { backend, client, watch } = await start()
    client.write(GET)
    await serve(backend, OK)
    await client.until('ok')
    client.write('bad\r\n\r\n')
    await client.ended()
    expect(watch.all('error').map(({ error }) => [error.code, error.requestSent])).toEqual([['BAD_HEAD', false]])
  })
})

test("requestSent is true after a request was sent with requests: 'first'", async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), modify: () => undefined })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until(GET)
  peer.end()
  await client.ended()
  expect(watch.all('error').map(({ error }) => [error.code, error.requestSent])).toEqual([['NO_RESPONSE', true]])
})
