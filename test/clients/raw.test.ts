import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createServer } from '../../src/index.ts'
import { MODES, proxyTo } from '../helpers/modes.ts'
import { Backend, connect, listen } from '../helpers/net.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe.each(MODES)('a client of plain sockets, $mode', (mode) => {
  test('a client that ends its side with the request is heard to end, and gets the whole response', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const client = await connect(port)
    client.end(GET)
    const peer = await backend.next()
    expect(await peer.ended()).toBe(GET)
    peer.write('HTTP/1.1 200 OK\r\n\r\nfirst')
    await client.until('first')
    peer.end(' and last')
    expect(await client.ended()).toMatch(/first and last$/)
  })

  test('a backend that ends its side with the response is heard to end, and gets the whole request', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end('HTTP/1.1 200 OK\r\n\r\nall')
    expect(await client.ended()).toMatch(/all$/)
    client.write('more')
    await peer.until('more')
    client.end(' and last')
    expect(await peer.ended()).toBe(`${GET}more and last`)
  })

  test('a client of HTTP/1.0 gets a response that the end of the connection ends', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const client = await connect(port)
    client.write('GET / HTTP/1.0\r\n\r\n')
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end('HTTP/1.0 200 OK\r\n\r\nbody')
    const text = await client.ended()
    expect([text.slice(0, 17), text.slice(-8)]).toEqual(['HTTP/1.0 200 OK\r\n', '\r\n\r\nbody'])
  })
})

test('a client that ends its side while lookup is out is heard to end by the backend', async () => {
  const backend = await Backend.start()
  const client = await connect(
    await listen(
      createServer(async () => {
        await turns()
        return { port: backend.port, host: '127.0.0.1' }
      }),
    ),
  )
  client.end(GET)
  expect(await (await backend.next()).ended()).toBe(GET)
})

test('a backend that ends its side while modify is out is heard to end by the client', async () => {
  const backend = await Backend.start()
  const client = await connect(await listen(createServer(() => ({ port: backend.port, host: '127.0.0.1' }), turns)))
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end('HTTP/1.1 200 OK\r\n\r\nbody')
  expect(await client.ended()).toBe('HTTP/1.1 200 OK\r\n\r\nbody')
})

/** Long enough for a FIN that was sent to have come. */
async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await turn()
}
