import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

// The backend of tunnels, in a process of its own. Prints its port to stdout. Echoes WebSocket messages.

const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (_request, response) => response.end('ok'))
const webSockets = new WebSocketServer({ server, perMessageDeflate: false })
webSockets.on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data: Buffer, binary) => socket.send(data, { binary }))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port)
})
