import { describe, expect, test } from 'vitest'
import type { ProxyOptions } from '../../../src/index.ts'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../../helpers/proxy.ts'
import { head, host, response, serve, start } from './support.ts'

expectNoWarnings()

const post = (fields = '') => `${head(`${fields}Content-Length: 5\r\n`, 'POST / HTTP/1.1')}hello`
const put = `${head('Content-Length: 5\r\n', 'PUT / HTTP/1.1')}hello`

/** A backend whose only connection is idle, after a request from a client of this proxy. */
async function idle(options: Partial<ProxyOptions> = {}) {
  const all = await start(options)
  all.client.write(head())
  const peer = await all.backend.next()
  await serve(peer, OK)
  await all.client.until('ok')
  await all.watch.until('end')
  all.client.received = Buffer.alloc(0)
  return { ...all, peer }
}

/** Ends a connection after it has received a request. */
const FAILURES: [how: string, fail: (peer: Peer) => void][] = [
  ['an end', (peer) => peer.end()],
  ['a reset', (peer) => peer.reset()],
]

describe('a request that can be sent again', () => {
  const REQUESTS = [
    head(),
    head('', 'HEAD / HTTP/1.1'),
    put,
    head('', 'DELETE / HTTP/1.1'),
    head('', 'OPTIONS * HTTP/1.1'),
  ]
  const CASES = REQUESTS.flatMap((request) => FAILURES.map((failure) => [request, ...failure] as const))

  test.for(CASES)('is sent once more on a fresh connection: %j after %s', async ([request, , fail]) => {
    const { backend, peer, port, watch } = await idle()
    const client = await connect(port)
    client.write(request)
    await peer.until(request.slice(-5))
    fail(peer)
    const again = await backend.next()
    const sent = request.startsWith('HEAD') ? response('Content-Length: 2\r\n') : OK
    expect(await serve(again, sent, request.slice(-5))).toBe(request)
    expect(await client.until(sent)).toBe(sent)
    expect(watch.codes).toEqual([])
    expect(backend.accepted).toBe(2)
  })

  test('is not sent a third time: a failure on a fresh connection is a 502', async () => {
    const { backend, peer, client, watch } = await idle()
    client.write(head())
    await peer.until('\r\n\r\n')
    peer.end()
    const again = await backend.next()
    await again.until('\r\n\r\n')
    again.end()
    expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
    expect(watch.codes).toEqual(['NO_RESPONSE'])
    expect(backend.accepted).toBe(2)
  })

  test('is sent to another backend if the first one is gone', async () => {
    const other = await Backend.start()
    const { backend, peer, client, watch } = await idle({ errback: () => ({ port: other.port, host }) })
    backend.server.close()
    client.write(head())
    await peer.until('\r\n\r\n')
    peer.end()
    expect(await serve(other, OK)).toBe(head())
    expect(await client.until('ok')).toBe(OK)
    expect(watch.codes).toEqual(['CONNECT_FAILED'])
  })

  test('is not sent again after the first byte of the response', async () => {
    const { backend, peer, client, watch } = await idle()
    client.write(head())
    await peer.until('\r\n\r\n')
    peer.end('HTTP/1.1 2')
    expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
    expect(watch.codes).toEqual(['NO_RESPONSE'])
    expect(backend.accepted).toBe(1)
  })
})

describe('a request that cannot be sent again', () => {
  const REQUESTS: [what: string, request: string, last?: string, rest?: string][] = [
    ['POST', post()],
    ['PATCH', head('', 'PATCH / HTTP/1.1')],
    ['with Expect', head('Expect: 100-continue\r\n')],
    ['whose body has not come', head('Content-Length: 5\r\n', 'PUT / HTTP/1.1')],
    ['with a long body', `${head('Content-Length: 70000\r\n', 'PUT / HTTP/1.1')}${'x'.repeat(70_000)}`],
  ]

  test.for(REQUESTS)('does not use a connection that served another client: %s', async ([, request]) => {
    const { backend, port } = await idle()
    const client = await connect(port)
    client.write(request)
    const peer = await backend.next()
    await peer.untilLength(request.length)
    peer.write(OK)
    await client.until('ok')
    expect(backend.accepted).toBe(2)
  })

  test("uses the connection of its client's last request", async () => {
    const { backend, peer, client } = await idle()
    client.write(post())
    expect(await serve(peer, OK, 'hello')).toBe(post())
    expect(await client.until('ok')).toBe(OK)
    expect(backend.accepted).toBe(1)
  })

  test.for(FAILURES)('closes its client if that connection fails by %s', async ([, fail]) => {
    const { backend, peer, client, watch } = await idle()
    client.write(post())
    await peer.until('hello')
    fail(peer)
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BACKEND_RESET'])
    expect(backend.accepted).toBe(1)
  })

  test('uses a fresh connection if another client has used that one since', async () => {
    const { backend, peer, port, client } = await idle()
    const other = await connect(port)
    other.write(head())
    await serve(peer, OK)
    await other.until('ok')
    client.write(post())
    expect(await serve(backend, OK, 'hello')).toBe(post())
    expect(backend.accepted).toBe(2)
  })
})

describe('retry: false in a Dest', () => {
  test('keeps a request off connections of other clients, and never sends it again', async () => {
    let port = 0
    const { backend, client, watch } = await start({ lookup: () => ({ port, host, retry: false }) })
    port = backend.port
    client.write(head())
    const peer = await backend.next()
    await serve(peer, OK)
    await client.until('ok')
    client.write(head())
    await peer.until('\r\n\r\n')
    peer.end()
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['BACKEND_RESET'])
    expect(backend.accepted).toBe(1)
  })
})
