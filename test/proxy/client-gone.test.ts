import http from 'node:http'
import { describe, expect, test } from 'vitest'
import { createBalancer, type ProxyOptions } from '../../src/index.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'

expectNoWarnings()

const host = '127.0.0.1'

const MODES: [name: string, options: Partial<ProxyOptions>][] = [
  ['plain', {}],
  ['with modify', { modify: () => undefined }],
  ['with lenientResponses', { lenientResponses: true }],
  ['with responseHeadTimeout', { responseHeadTimeout: 60_000 }],
]

describe.each(MODES)('a client that leaves before its response, %s', (_, options) => {
  async function begin(request = GET) {
    const watch = new Watch()
    const backend = await Backend.start()
    const { port, server } = await startProxy({ lookup: () => ({ port: backend.port, host }), ...options })
    const client = await connect(port)
    client.write(request)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    return { watch, client, peer, server }
  }

  test('causes CLIENT_GONE if it ends its side and the backend ends without a response', async () => {
    const { watch, client, peer, server } = await begin()
    client.socket.destroy()
    await peer.ended()
    peer.end()
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_GONE'])
    expect(watch.all('error')[0]!.error).toMatchObject({
      status: undefined,
      phase: expect.stringMatching(/^(response|tunnel)$/),
    })
    expect(server.counters).toMatchObject({ bytesWritten: 0, connectFailures: 0, badHeads: 0 })
  })

  test('causes CLIENT_GONE in the middle of its upload', async () => {
    const { watch, client, peer, server } = await begin('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n1')
    client.socket.destroy()
    await peer.ended()
    peer.end()
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_GONE'])
    expect(server.counters.bytesWritten).toBe(0)
  })

  test('causes CLIENT_RESET by a reset', async () => {
    const { watch, client, peer, server } = await begin()
    client.reset()
    await peer.closed()
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_RESET'])
    expect(server.counters.bytesWritten).toBe(0)
  })

  test('causes no error if it ends its side and is answered', async () => {
    const { watch, client, peer } = await begin()
    client.end()
    await peer.ended()
    peer.end(OK)
    expect(await client.ended()).toBe(OK)
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })
})

test('blames a backend that ends without a response before the client does', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), modify: () => undefined })
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end()
  expect(await client.ended()).toMatch(/^HTTP\/1\.1 502 /)
  client.end()
  await watch.until('close')
  expect(watch.codes).toEqual(['NO_RESPONSE'])
})

test('does not blame a slow http.Server for clients that leave', async () => {
  const watch = new Watch()
  let asked = 0
  const port = await listen(
    http.createServer(() => {
      asked++
    }),
  )
  const balancer = createBalancer({ backends: [{ port }] })
  const proxy = await startProxy({ lookup: balancer.lookup, errback: balancer.errback, modify: () => undefined })
  for (let i = 1; i <= 5; i++) {
    const client = await connect(proxy.port)
    client.write(GET)
    while (asked < i) await new Promise((resolve) => setImmediate(resolve))
    client.socket.destroy()
    await watch.until('close', i)
  }
  expect(watch.codes).toEqual(Array(5).fill('CLIENT_GONE'))
  expect(balancer.backends).toMatchObject([{ state: 'up', failures: 0 }])
  balancer.close()
})
