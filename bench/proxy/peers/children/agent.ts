import http from 'node:http'

/** Keeps each connection to the backend for the next request, as many as there are. */
export const agent = new http.Agent({
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: Number.POSITIVE_INFINITY,
})

/** A server whose own time-outs and limits do not cut a round short. */
export function createServer(listener: http.RequestListener): http.Server {
  return http.createServer({ keepAliveTimeout: 0, requestTimeout: 0, noDelay: true }, listener)
}

/**
 * `Connection` is about one hop only (RFC 9110 7.6.1), and the proxies on npm hand it on: with a client that closes, the
 * backend would close too, and nothing would be pooled. So it goes before they see the request.
 */
export function dropConnection(request: http.IncomingMessage): void {
  delete request.headers.connection
}

/** Says to the client what is to come of its connection, not what the backend said of its own. */
export function setConnection(
  { headers }: { headers: http.OutgoingHttpHeaders },
  _request: unknown,
  response: http.ServerResponse,
): void {
  headers.connection = response.shouldKeepAlive ? 'keep-alive' : 'close'
}
