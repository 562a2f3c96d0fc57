import http from 'node:http'
import type { Duplex } from 'node:stream'
import { listen } from '../../helpers/net.ts'
import { startApache, startHaproxy, startLighttpd, startNginx } from '../../helpers/peers.ts'
import { turns } from '../../helpers/turns.ts'
import type { AnswerKind } from './streams.ts'
import { pathOf } from './witness.ts'

/** A request as a backend saw it. */
export interface Seen {
  readonly method: string
  /** Without scheme and host. */
  readonly path: string
  readonly id: string | undefined
  body: string
  isWhole: boolean
  /** It asked for an upgrade. `body` are the bytes behind it. */
  isUpgrade?: boolean
  /** Bytes came behind it before the answer. */
  isEarly?: boolean
}

type Request = http.IncomingMessage

/** How a request is answered, by a word in its path. */
const ANSWERS: Readonly<Record<Exclude<AnswerKind, 'own' | 'switch'>, (response: http.ServerResponse) => void>> = {
  ok: (response) => void response.end('ok'),
  chunks: (response) => {
    response.write('some')
    response.end('more')
  },
  trailers: (response) => {
    response.write('some')
    response.addTrailers({ 'X-Sum': '1' })
    response.end('more')
  },
  '204': (response) => void response.writeHead(204).end(),
  '304': (response) => void response.writeHead(304, { 'Content-Length': '5' }).end(),
  early: (response) => void response.end('early'),
  hints: (response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.end('hinted')
  },
  last: (response) => void response.writeHead(200, { Connection: 'close' }).end('last'),
  cut: (response) => {
    response.writeHead(200, { 'Content-Length': '50' }).write('cut')
    response.socket!.destroySoon()
  },
}

/** The body of each answer. */
export const BODIES: Readonly<Record<AnswerKind, string>> = {
  ok: 'ok',
  chunks: 'somemore',
  trailers: 'somemore',
  '204': '',
  '304': '',
  early: 'early',
  hints: 'hinted',
  last: 'last',
  cut: 'cut',
  own: 'own',
  switch: '',
}

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade:'

/** Answers that an intermediate server may change: nginx waits after a 103, lighttpd ends a trailer with two CRs. */
const FOR_DIRECT: readonly string[] = ['hints', 'trailers', 'cut'] satisfies AnswerKind[]

export interface Recorder {
  readonly port: number
  seen: Seen[]
  /** The bytes of each connection. Only if the recorder is the backend itself. */
  readonly wires: string[]
}

/** The word for the answer in a path. */
export const kindOf = (path: string): AnswerKind => /-(\w+)/.exec(path)?.[1] as AnswerKind

/** Answers an upgrade: with a 101 and a FIN, or as any other request. */
async function answerUpgrade(
  entry: Seen,
  { headers }: Request,
  socket: Duplex,
  first: Buffer,
  isDirect: boolean,
): Promise<void> {
  entry.isUpgrade = true
  entry.body = first.toString('latin1')
  socket.on('error', () => undefined)
  socket.on('data', (bytes: Buffer) => (entry.body += bytes.toString('latin1')))
  // haproxy may end a tunnel early.
  socket.on('end', () => (entry.isWhole = isDirect))
  // Bytes that were sent too early arrive meanwhile.
  await turns(3)
  entry.isEarly = entry.body !== ''
  const fields = `X-Path: ${entry.path}\r\n`
  if (kindOf(entry.path) === 'switch') socket.end(`${SWITCHING} ${headers.upgrade}\r\n${fields}\r\ntunnel`)
  // No further request is read on this connection. haproxy would send one, and badass must not.
  else if (isDirect) socket.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`)
  else socket.end(`HTTP/1.1 200 OK\r\n${fields}Connection: close\r\n\r\nok`)
}

/** Node's own HTTP server. Records its requests in order. With `isDirect`, there is no intermediate server. */
export async function startRecorder(isDirect: boolean): Promise<Recorder> {
  const recorder = { port: 0, seen: [] as Seen[], wires: [] as string[] }
  const see = (request: Request): Seen => {
    const { method = '', url = '', headers } = request
    const path = pathOf((headers['x-target'] as string | undefined) ?? url)
    const id = headers['x-id'] as string | undefined
    const entry: Seen = { method, path, id, body: '', isWhole: false }
    recorder.seen.push(entry)
    return entry
  }
  const server = http.createServer((request, response) => {
    const entry = see(request)
    const kind = kindOf(entry.path)
    response.setHeader('X-Path', entry.path)
    const answer =
      (isDirect || !FOR_DIRECT.includes(kind) ? ANSWERS[kind as keyof typeof ANSWERS] : undefined) ?? ANSWERS.ok
    if (kind === 'early') answer(response)
    request.setEncoding('latin1')
    request.on('data', (text: string) => (entry.body += text))
    request.on('error', () => undefined)
    request.on('end', () => {
      entry.isWhole = true
      if (kind !== 'early') answer(response)
    })
  })
  server.on('checkExpectation', (request: Request, response: http.ServerResponse) => {
    see(request)
    response.writeHead(417, { Connection: 'close' }).end()
  })
  server.on('connect', (request: Request, socket: Duplex) => {
    see(request)
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
  })
  server.on('upgrade', (request: Request, socket: Duplex, first: Buffer) => {
    void answerUpgrade(see(request), request, socket, first, isDirect)
  })
  if (isDirect) {
    server.on('connection', (socket) => {
      const k = recorder.wires.push('') - 1
      socket.on('data', (bytes: Buffer) => (recorder.wires[k] += bytes.toString('latin1')))
    })
  }
  // Longer than the test.
  server.keepAliveTimeout = 120_000
  recorder.port = await listen(server)
  return recorder
}

/** Servers with their own parsers, each in front of the recorder at `to`. They return their port. */
export const BACKENDS: readonly [program: string, start: (to: number) => Promise<number>][] = [
  ['node', async (to) => to],
  [
    'nginx',
    (to) =>
      startNginx(
        (port) => `
  upstream recorder { server 127.0.0.1:${to}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://recorder;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection '';
    }
  }
`,
      ),
  ],
  [
    'haproxy',
    (to) =>
      startHaproxy(
        (port) => `frontend front
  bind 127.0.0.1:${port}
  default_backend recorder
backend recorder
  server one 127.0.0.1:${to}
`,
      ),
  ],
  ['apache2', startApache],
  ['lighttpd', startLighttpd],
]
