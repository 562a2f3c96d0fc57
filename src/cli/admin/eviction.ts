import type http from 'node:http'
import type net from 'node:net'

/**
 * Limits the connections of a server by evicting old ones: first the longest idle, then the one with the oldest request.
 * So a probe is answered even if someone holds many connections open. (Node's `maxConnections` would drop the probe.)
 * Clients that pipeline are closed.
 */
export function evictOldest(server: http.Server, maxConnections: number): void {
  // A Set keeps insertion order, so the first is the oldest.
  const idle = new Set<net.Socket>()
  const busy = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    if (idle.size + busy.size >= maxConnections) {
      const [oldest] = idle.size > 0 ? idle : busy
      oldest!.destroy()
      idle.delete(oldest!)
      busy.delete(oldest!)
    }
    idle.add(socket)
    socket.on('close', () => {
      idle.delete(socket)
      busy.delete(socket)
    })
  })
  // Runs before the listeners that answer: Node emits all pipelined requests of one read at once, and each would cost
  // an answer. Browsers and probes do not pipeline.
  server.prependListener('request', ({ socket }, response) => {
    if (busy.has(socket)) socket.destroy()
    if (socket.destroyed) return
    idle.delete(socket)
    busy.add(socket)
    response.on('close', () => {
      if (busy.delete(socket) && !socket.destroyed) idle.add(socket)
    })
  })
}
