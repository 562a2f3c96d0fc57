import http from 'node:http'
import type { AddressInfo } from 'node:net'

// The backend of uploads, in a process of its own. Prints its port to stdout. It answers with the number of bytes once it
// has read the whole body. nginx would answer before that, or write the body to a file.
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
