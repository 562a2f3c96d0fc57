import { once } from 'node:events'
import http from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createServer, type Dest } from '../../../src/index.ts'
import { isBefore } from '../../../src/proxy/tunnel/flow.ts'
import { Flood, stable } from '../../helpers/flood.ts'
import { Backend, connect, listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK, Watch } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

expectNoWarnings()

const MIB = 1 << 20

/** A backend and a proxy, both on Unix sockets. */
async function start(modify?: () => void) {
  const directory = temporaryDirectory()
  const backend = new Backend()
  const dest: Dest = { path: join(directory, 'back') }
  await listen(backend.server, dest)
  const front = { path: join(directory, 'front') }
  await listen(createServer({ lookup: () => dest, modify }), front)
  return { backend, watch: new Watch(), client: await connect(front) }
}

describe.each([
  ['without modify', undefined],
  ['with modify', () => undefined],
])('an end over Unix sockets, %s', (_, modify) => {
  test('of a backend that no longer reads is passed on, even if writes wait', async () => {
    const { backend, client } = await start(modify)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n')
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.socket.pause()
    const flood = new Flood(client.socket, 8 * MIB)
    expect(await stable(() => flood.sent)).toBeLessThan(8 * MIB)
    const response = 'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
    peer.end(response)
    expect(await client.ended()).toBe(response)
  })

  test('of a client that no longer reads is passed on, even if writes wait', async () => {
    const { backend, client } = await start(modify)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    client.socket.pause()
    peer.write('HTTP/1.1 200 OK\r\n\r\n')
    const flood = new Flood(peer.socket, 8 * MIB)
    expect(await stable(() => flood.sent)).toBeLessThan(8 * MIB)
    client.end('bye')
    expect(await peer.ended()).toBe(`${GET}bye`)
  })

  test('of a client that has its whole response is not a reset', async () => {
    const { backend, watch, client } = await start(modify)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(OK)
    await client.until('ok')
    client.socket.destroy()
    await peer.ended()
    peer.end()
    await watch.until('close')
    expect(watch.codes).toEqual([])
  })
})

test('reports no reset if an http client of a Unix socket leaves after its response', async () => {
  const directory = temporaryDirectory()
  const back = { path: join(directory, 'back') }
  await listen(
    http.createServer((_, response) => response.end('ok')),
    back,
  )
  const socketPath = join(directory, 'front')
  await listen(
    createServer(() => back),
    { path: socketPath },
  )
  const watch = new Watch()
  for (let i = 1; i <= 20; i++) {
    const request = http.get({ socketPath, agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await watch.until('close', i)
  }
  expect(watch.codes).toEqual([])
})

test('isBefore compares versions by number', () => {
  expect(['1.9.0', '1.51.1', '0.99', '1'].map((version) => isBefore(version, 1, 52))).toEqual(Array(4).fill(true))
  expect(['1.52.0', '1.52', '1.100.0', '2.0.0', ''].map((version) => isBefore(version, 1, 52))).toEqual(
    Array(5).fill(false),
  )
})
