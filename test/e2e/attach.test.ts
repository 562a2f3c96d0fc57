import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createServer, type Dest } from '../../src/index.ts'
import { noise, readAll, sha256, slices } from '../helpers/bytes.ts'
import { keepAliveAgent, send } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { turn } from '../helpers/turns.ts'

const OUTPUT = noise(3_000_000, 7)

/** Like the Docker daemon: after the 101 it reads the input to its end, and only then writes all of the output. */
function startDaemon(): http.Server {
  const server = http.createServer((_, response) => response.end('{"Containers":1}'))
  server.on('upgrade', async (request, socket: net.Socket, first: Buffer) => {
    socket.on('error', () => undefined)
    socket.unshift(first)
    socket.write(
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
    )
    const chunks: Buffer[] = []
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk)
    socket.write(`${sha256(Buffer.concat(chunks))}\n`)
    for (const piece of slices(OUTPUT, 200_000)) {
      if (!socket.write(piece)) await once(socket, 'drain')
      await turn()
    }
    socket.end()
  })
  return server
}

const PLACES: [name: string, place: () => { listen: net.ListenOptions; destOf: (port: number) => Dest }][] = [
  ['a port', () => ({ listen: { port: 0, host: '127.0.0.1' }, destOf: (port) => ({ port, host: '127.0.0.1' }) })],
  [
    'a Unix socket',
    () => {
      const path = join(temporaryDirectory(), 'docker.sock')
      return { listen: { path }, destOf: () => ({ path }) }
    },
  ],
]
const CASES = PLACES.flatMap(([name, place]) =>
  (['first', 'every'] as const).map((mode) => [name, mode, place] as const),
)

test.for(CASES)(
  'docker attach gets the output after it has ended its input: %s, requests: %s',
  async ([, requests, place]) => {
    const { listen: at, destOf } = place()
    const dest = destOf(await listen(startDaemon(), at))
    const port = await listen(createServer({ requests, lookup: () => dest }))
    const agent = keepAliveAgent(1)
    const options = { port, host: '127.0.0.1', agent }
    // The client asks for the container on the same connection before.
    expect((await send(http.request({ ...options, path: '/info' }))).body.toString()).toBe('{"Containers":1}')
    const request = http.request({
      ...options,
      method: 'POST',
      path: '/containers/1/attach?stream=1&stdin=1&stdout=1',
      headers: { Connection: 'Upgrade', Upgrade: 'tcp', 'Content-Type': 'text/plain', 'Content-Length': 0 },
    })
    request.end()
    const [response, socket, first] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket, Buffer]
    expect([response.statusCode, response.headers['content-type']]).toEqual([101, 'application/vnd.docker.raw-stream'])
    const input = noise(500_000, 8)
    for (const piece of slices(input, 60_000)) socket.write(piece)
    socket.end()
    const output = Buffer.concat([first, await readAll(socket)])
    expect(output.subarray(0, 65).toString('latin1')).toBe(`${sha256(input)}\n`)
    expect(sha256(output.subarray(65))).toBe(sha256(OUTPUT))
  },
)
