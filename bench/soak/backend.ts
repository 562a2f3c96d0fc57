import http from 'node:http'
import type { Duplex } from 'node:stream'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import { eventOf, piecesOf, Verifier } from './pattern.ts'

/** What a bad head asks for: no backend may ever see it. */
export const FORBIDDEN = '/forbidden'

interface Ask {
  path: string
  /** A number of the query, or 0. */
  number(name: string): number
}

function read(url = ''): Ask {
  const { pathname, searchParams } = new URL(url, 'http://backend')
  return { path: pathname, number: (name) => Number(searchParams.get(name) ?? 0) }
}

async function* events({ number }: Ask): AsyncGenerator<Buffer> {
  for (let i = 0; i < number('count'); i++) {
    yield eventOf(number('seed'), i)
    await sleep(number('pace'))
  }
}

/** Holds an upload against what was to come, as far as it came. @throws {Mismatch} */
async function verify(request: http.IncomingMessage, { number }: Ask): Promise<void> {
  const verifier = new Verifier(number('seed'), number('length'))
  for await (const chunk of request) verifier.push(chunk as Buffer)
  verifier.end()
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse, ask: Ask): Promise<void> {
  switch (ask.path) {
    case '/healthz':
      response.end('ok')
      return
    case '/body': {
      const length = ask.number('length')
      if (!ask.number('chunked')) response.setHeader('Content-Length', length)
      response.setHeader('Set-Cookie', 'session=1; Path=/')
      await pipeline(Readable.from(piecesOf(ask.number('seed'), length, ask.number('piece') || undefined)), response)
      return
    }
    case '/events':
      response.setHeader('Content-Type', 'text/event-stream')
      response.flushHeaders()
      await pipeline(events(ask), response)
      return
    case '/echo':
      await pipeline(request, response)
      return
    case '/sink':
      await verify(request, ask)
      response.end('right')
      return
    default:
      throw new Error(`a request for ${request.url}`)
  }
}

/** What breaks off is the client's affair: it aborts on purpose. */
const BREAKS = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
  'ERR_STREAM_UNABLE_TO_PIPE',
])

/**
 * What stands behind the proxy: it serves and takes bodies that a seed decides, and complains of each request that is
 * not what a client of ours sent. `name` comes with each answer.
 */
export function createBackend(name: string, complain: (what: string) => void): http.Server {
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
