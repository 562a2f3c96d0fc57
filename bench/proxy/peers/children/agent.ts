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
