import http from 'node:http'
import type { AddressInfo } from 'node:net'

// The backend of uploads, a process of its own: it says its port on stdout. It answers 'ok' when it has read all of
// the body: nginx answers at once and reads on in small pieces, or puts the body in a file.
const server = http.createServer(
  { keepAliveTimeout: 0, requestTimeout: 0, highWaterMark: 2 ** 20 },
  (request, response) => {
    let received = 0
    request.on('data', (chunk: Buffer) => (received += chunk.length))
    request.on('end', () => response.end(String(received)))
  },
)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port)
})
