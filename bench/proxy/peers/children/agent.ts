import http from 'node:http'

/** Keeps all connections to the backend for later requests. */
export const agent = new http.Agent({
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: Number.POSITIVE_INFINITY,
})

/** A server without time-outs, which could end a round early. */
export function createServer(listener: http.RequestListener): http.Server {
  return http.createServer({ keepAliveTimeout: 0, requestTimeout: 0, noDelay: true }, listener)
}

/**
 * Removes `Connection`, which is for one hop only (RFC 9110 7.6.1). The npm proxies forward it, so a client's `close`
 * would close the backend connection too, and nothing would be pooled.
 */
export function dropConnection(request: http.IncomingMessage): void {
  delete request.headers.connection
}

/** Replaces the backend's `Connection` with one for the client's connection. */
export function setConnection(
  { headers }: { headers: http.OutgoingHttpHeaders },
  _request: unknown,
  response: http.ServerResponse,
): void {
  headers.connection = response.shouldKeepAlive ? 'keep-alive' : 'close'
}
