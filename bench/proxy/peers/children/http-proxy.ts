import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { agent, createServer, dropConnection, setConnection } from './agent.ts'
import { backend, serve } from './say.ts'

// http-proxy and its descendants http-proxy-3 and httpxy. Arguments: BACKEND PACKAGE.

interface Proxy {
  web(request: IncomingMessage, response: ServerResponse): unknown
  ws(request: IncomingMessage, socket: Duplex, ...more: unknown[]): unknown
  on(event: 'error', listener: () => void): void
  on(event: 'proxyRes', listener: typeof setConnection): void
}
interface Library {
  createProxyServer(options: object): Proxy
}

const name = process.argv[3]!
const { default: library, ...names } = (await import(name)) as Library & { default?: Library }
const target = `http://127.0.0.1:${backend}`
const proxy = (library ?? names).createProxyServer({ target, ws: true, agent })
proxy.on('error', () => {})
proxy.on('proxyRes', setConnection)
const server = createServer((request, response) => {
  dropConnection(request)
  Promise.resolve(proxy.web(request, response)).catch(() => response.destroy())
})
server.on('upgrade', (request, socket, head) => {
  const more = name === 'httpxy' ? [{ target }, head] : [head]
  Promise.resolve(proxy.ws(request, socket, ...more)).catch(() => socket.destroy())
})
serve(server, name)
