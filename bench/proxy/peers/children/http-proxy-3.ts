import type { Socket } from 'node:net'
import { createProxyServer } from 'http-proxy-3'
import { agent, createServer, dropConnection, setConnection } from './agent.ts'
import { backend, serve } from './say.ts'

const proxy = createProxyServer({ target: `http://127.0.0.1:${backend}`, ws: true, agent })
proxy.on('error', () => {})
proxy.on('proxyRes', setConnection)
const server = createServer((request, response) => {
  dropConnection(request)
  proxy.web(request, response)
})
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket as Socket, head))
serve(server, 'http-proxy-3')
