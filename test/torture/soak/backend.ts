import http from 'node:http'
import type { Duplex } from 'node:stream'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import { eventOf, piecesOf, Verifier } from './pattern.ts'

/** The path in bad heads. No backend may ever get a request for it. */
export const FORBIDDEN = '/forbidden'

interface Query {
  path: string
  /** A number in the query string; 0 when it is missing. */
  number(name: string): number
}

function read(url = ''): Query {
  const { pathname, searchParams } = new URL(url, 'http://backend')
  return { path: pathname, number: (name) => Number(searchParams.get(name) ?? 0) }
}

async function* events({ number }: Query): AsyncGenerator<Buffer> {
  for (let i = 0; i < number('count'); i++) {
    yield eventOf(number('seed'), i)
    await sleep(number('pace'))
  }
}

/** Compares an upload with the bytes that were sent. @throws {Mismatch} */
async function verify(request: http.IncomingMessage, { number }: Query): Promise<void> {
  const verifier = new Verifier(number('seed'), number('length'))
  for await (const chunk of request) verifier.push(chunk as Buffer)
  verifier.end()
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse, query: Query): Promise<void> {
  switch (query.path) {
    case '/healthz':
      response.end('ok')
      return
    case '/body': {
      const length = query.number('length')
      if (!query.number('chunked')) response.setHeader('Content-Length', length)
      response.setHeader('Set-Cookie', 'session=1; Path=/')
      await pipeline(
        Readable.from(piecesOf(query.number('seed'), length, query.number('piece') || undefined)),
        response,
      )
      return
    }
    case '/events':
      response.setHeader('Content-Type', 'text/event-stream')
      response.flushHeaders()
      await pipeline(events(query), response)
      return
    case '/echo':
      await pipeline(request, response)
      return
    case '/sink':
      await verify(request, query)
      response.end('right')
      return
    default:
      throw new Error(`a request for ${request.url}`)
  }
}

/** Codes of a broken connection. Clients abort on purpose, and judge the rest. */
const BREAKS = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
  'ERR_STREAM_UNABLE_TO_PIPE',
])

/**
 * The server behind the proxy. It sends and receives bodies that a seed determines, and reports each request that is not
 * as a client sent it. Each answer names the backend in X-Backend.
 */
export function createBackend(name: string, complain: (fault: string) => void): http.Server {
  const failed = (error: NodeJS.ErrnoException) => {
    if (!BREAKS.has(error.code ?? '')) complain(`${error.name}: ${error.message}`)
  }
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    response.setHeader('X-Backend', name)
    answer(request, response, read(request.url)).catch((error: Error) => {
      failed(error)
      response.destroy()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    failed(error)
    socket.destroy()
  })
  const sockets = new WebSocketServer({ server, path: '/socket', maxPayload: 2 ** 24 })
  sockets.on('headers', (headers) => headers.push(`X-Backend: ${name}`))
  sockets.on('connection', (socket: WebSocket) => {
    socket.on('error', failed)
    socket.on('message', (data, binary) => socket.send(data as Buffer, { binary }))
  })
  return server
}
