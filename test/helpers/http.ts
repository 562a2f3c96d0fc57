import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, onTestFinished } from 'vitest'
import { noise, readAll, sha256 } from './bytes.ts'
import { type Mode, proxyTo } from './modes.ts'
import { connect, listen } from './net.ts'

/** A response, read to its end. */
export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
  body: Buffer
}

/** Starts an HTTP server and a proxy in front of it. Returns the proxy and its port. */
export async function serve(mode: Mode, listener: http.RequestListener | http.Server) {
  const server = typeof listener === 'function' ? http.createServer(listener) : listener
  const port = await listen(server)
  return { server, ...(await proxyTo(mode, { port, host: '127.0.0.1' })) }
}

/** An agent that keeps this many connections until the end of the test. */
export function keepAliveAgent(maxSockets: number): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets })
  onTestFinished(() => agent.destroy())
  return agent
}

/** Sends a request with its body and reads the response at the same time. */
export async function send(request: http.ClientRequest, body: string | Buffer | Readable = ''): Promise<Answer> {
  const whole = (async () => {
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    // The server may close before it has read the rest of the request.
    request.on('error', () => undefined)
    return answerOf(response)
  })()
  if (body instanceof Readable) await Promise.all([whole, pipeline(body, request)])
  else request.end(body)
  return whole
}

export async function answerOf(response: http.IncomingMessage): Promise<Answer> {
  const body = await readAll(response)
  return { status: response.statusCode!, headers: response.headers, trailers: response.trailers, body }
}

/** Sends 0, 1, 2 ... chunked, each after the one before has come back, and returns the echo. */
export async function echoStepwise(options: http.RequestOptions, count: number): Promise<string[]> {
  const headers = { 'Transfer-Encoding': 'chunked' }
  const request = http.request({ ...options, method: 'POST', headers })
  request.write('0')
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.setEncoding('latin1')
  const echoes: string[] = []
  for await (const chunk of response) {
    echoes.push(chunk)
    if (echoes.length < count) request.write(String(echoes.length))
    else request.end()
  }
  return echoes
}

/** Answers with the length and digest of the body. */
export const digest: http.RequestListener = (request, response) => {
  readAll(request).then(
    (body) => response.end(JSON.stringify({ length: body.length, sha256: sha256(body) })),
    () => response.destroy(),
  )
}

/** Sends 20 requests in one write to a server that answers with `digest`, and expects the answers in order. */
export async function expectPipelined(port: number): Promise<void> {
  const bodies = Array.from({ length: 20 }, (_, i) => noise(i * 5_000, i))
  const client = await connect(port)
  const requests = bodies.map((body, i) => [
    Buffer.from(`POST /${i} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n`),
    Buffer.from(i === bodies.length - 1 ? 'Connection: close\r\n\r\n' : '\r\n'),
    body,
  ])
  client.write(Buffer.concat(requests.flat()))
  const answers = [...(await client.ended()).matchAll(/\{.*?\}/g)].map(([json]) => JSON.parse(json))
  expect(answers).toEqual(bodies.map(digestOf))
}

/** The answer of `digest` to this body. */
export function digestOf(body: Buffer): { length: number; sha256: string } {
  return { length: body.length, sha256: sha256(body) }
}
