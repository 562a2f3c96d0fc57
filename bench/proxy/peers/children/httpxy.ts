import type { Socket } from 'node:net'
import { createProxyServer } from 'httpxy'
import { agent, createServer, dropConnection, setConnection } from './agent.ts'
import { backend, serve } from './say.ts'

const target = `http://127.0.0.1:${backend}`
const proxy = createProxyServer({ target, ws: true, agent })
proxy.on('error', () => {})
proxy.on('proxyRes', setConnection)
const server = createServer((request, response) => {
  dropConnection(request)
  proxy.web(request, response).catch(() => response.destroy())
})
server.on(
  'upgrade',
  (request, socket, head) =>
    void proxy.ws(request, socket as Socket, { target }, head).catch(() => {
      socket.destroy()
    }),
)
serve(server, 'httpxy')
