import type { IncomingMessage, RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { agent, createServer, dropConnection, setConnection } from './agent.ts'
import { backend, serve } from './say.ts'

// The package comes without types.
interface HttpProxy {
  web: RequestListener
  ws(request: IncomingMessage, socket: Duplex, head: Buffer): void
  on(event: 'error', listener: (error: Error) => void): void
  on(event: 'proxyRes', listener: typeof setConnection): void
}
const httpProxy = createRequire(import.meta.url)('http-proxy') as { createProxyServer(options: object): HttpProxy }

const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backend}`, ws: true, agent })
proxy.on('error', () => {})
proxy.on('proxyRes', setConnection)
const server = createServer((request, response) => {
  dropConnection(request)
  proxy.web(request, response)
})
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
serve(server, 'http-proxy')
