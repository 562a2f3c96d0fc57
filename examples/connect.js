// @ts-check
import http from 'node:http'
import net from 'node:net'
import { createServer } from 'badass'

const allowed = new Set(['api.example:443', '127.0.0.1:3001'])

// An http.Server of this process answers CONNECT and opens the tunnel.
const tunnels = http.createServer((_request, response) => response.writeHead(405).end())
tunnels.on('connect', (request, client, first) => {
  if (!allowed.has(request.url ?? '')) {
    client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    return
  }
  const { hostname, port } = new URL(`http://${request.url}`)
  const upstream = net.connect(Number(port || 80), hostname, () => {
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    upstream.write(first)
    client.pipe(upstream).pipe(client)
  })
  upstream.on('error', () => client.destroy())
  client.on('error', () => upstream.destroy())
})

/** @type {import('badass').ProxyOptions<import('badass').Dest>} */
const options = {
  lookup: (head) => (head.method === 'CONNECT' ? { server: tunnels } : { port: 3002, host: '127.0.0.1' }),
}
createServer(options).listen(8080)
