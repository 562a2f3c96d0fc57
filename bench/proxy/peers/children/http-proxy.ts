import type { IncomingMessage, RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { agent, createServer } from './agent.ts'
import { backend, serve } from './say.ts'

// The package comes without types.
interface HttpProxy {
  web: RequestListener
  ws(request: IncomingMessage, socket: Duplex, head: Buffer): void
  on(event: 'error', listener: (error: Error) => void): void
}
const httpProxy = createRequire(import.meta.url)('http-proxy') as { createProxyServer(options: object): HttpProxy }

const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backend}`, ws: true, agent })
proxy.on('error', () => {})
const server = createServer((request, response) => proxy.web(request, response))
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
serve(server, 'http-proxy')
