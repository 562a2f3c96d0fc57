import { createHash } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { Echo } from './frames.ts'

// The backend of the tunnels, a process of its own: it says its port on stdout.
//   /hold  is a tunnel that is silent
//   else   is a WebSocket that sends back what it is sent, or, where no upgrade is asked for, a 200

/** RFC 6455 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

function accept(key: string): string {
  const digest = createHash('sha1')
    .update(key + GUID)
    .digest('base64')
  return (
    'HTTP/1.1 101 Switching Protocols\r\n' +
    `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${digest}\r\n\r\n`
  )
}

function upgrade(request: http.IncomingMessage, socket: Duplex, rest: Buffer): void {
  socket.on('error', () => {})
  socket.write(accept(request.headers['sec-websocket-key'] ?? ''))
  if (request.url === '/hold') {
    socket.on('end', () => socket.end())
    socket.resume()
    return
  }
  const echo = new Echo()
  socket.on('data', (chunk: Buffer) => socket.write(echo.push(chunk)))
  socket.on('end', () => socket.end())
  if (rest.length > 0) socket.write(echo.push(rest))
}

const server = http.createServer((_request, response) => response.end('ok'))
server.on('upgrade', upgrade)
server.keepAliveTimeout = 0
server.requestTimeout = 0
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port)
})
