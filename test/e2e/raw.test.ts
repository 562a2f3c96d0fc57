import { describe, expect, test } from 'vitest'
import { createServer } from '../../src/index.ts'
import { backendEndsFirst, clientEndsFirst } from '../helpers/half-close.ts'
import { MODES, proxyTo } from '../helpers/modes.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import { GET } from '../helpers/proxy.ts'
import { turns } from '../helpers/turns.ts'

describe.each(MODES)('a client of plain sockets, $mode', (mode) => {
  test('passes on the FIN of a client, which gets the whole response', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const client = await connect(port)
    await clientEndsFirst(client, backend)
  })

  test.skipIf(mode.isEvery)('passes on the FIN of a backend, which gets the whole request', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const client = await connect(port)
    await backendEndsFirst(client, backend)
  })

  test('gives an HTTP/1.0 client a response that ends with the connection', async () => {
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

/** Long enough for a FIN to arrive. */
const longEnough = () => turns(50)

test('passes on the FIN of a client that ends its side while lookup is pending', async () => {
  const backend = await Backend.start()
  const client = await connect(
    await listen(
      createServer(async () => {
        await longEnough()
        return { port: backend.port, host: '127.0.0.1' }
      }),
    ),
  )
  client.end(GET)
  expect(await (await backend.next()).ended()).toBe(GET)
})

test('passes on the FIN of a backend that ends its side while modify is pending', async () => {
  const backend = await Backend.start()
  const client = await connect(
    await listen(createServer(() => ({ port: backend.port, host: '127.0.0.1' }), longEnough)),
  )
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end('HTTP/1.1 200 OK\r\n\r\nbody')
  expect(await client.ended()).toBe('HTTP/1.1 200 OK\r\n\r\nbody')
})
