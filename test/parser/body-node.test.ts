import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { expect, test } from 'vitest'
import { BodyScanner } from '../../src/parser/index.ts'
import { listen } from '../helpers/net.ts'
import { latin1 } from './feed.ts'

// Edits one chunked body at every place, and compares BodyScanner with Node's server.

const VALID = 'a;x=y\r\n0123456789\r\n1\r\nz\r\n0\r\nA: b\r\n\r\n'
const INSERTS = ['\r', '\n', '\r\n', ' ', '\t', ';', '"', '0', '1', 'f', 'g', 'x', '+', '-', ':', '\0', '\x7f', '\xff']

/** The length of the body, or why it has none. */
type Reading = number | 'refused' | 'wants more'

function ours(body: string): Reading {
  const scanner = new BodyScanner({ kind: 'chunked' })
  const count = scanner.push(latin1(body))
  if (scanner.state === 'invalid') return 'refused'
  return scanner.state === 'end' ? count : 'wants more'
}

/** Asks Node. If it answers the request after the body, it found the same end. */
async function nodes(bodies: readonly string[]): Promise<Reading[]> {
  const readings: Reading[] = []
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.end(request.url))
  })
  server.on('clientError', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const port = await listen(server)
  for (const body of bodies) readings.push(await ask(port, body))
  return readings
}

const HEAD = 'POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
/** Its first bytes cannot continue any body. */
const NEXT = 'GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

async function ask(port: number, body: string): Promise<Reading> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.end(HEAD + body + NEXT, 'latin1')
  await once(socket, 'close')
  if (answer.includes('/next')) return body.length
  return answer.includes(' 400 ') ? 'refused' : 'wants more'
}

function edits(): string[] {
  const bodies = [VALID]
  for (let i = 0; i < VALID.length; i++) {
    bodies.push(VALID.slice(0, i) + VALID.slice(i + 1))
    for (const insert of INSERTS) bodies.push(VALID.slice(0, i) + insert + VALID.slice(i))
  }
  // Bytes after a complete body belong to the next request.
  return [...new Set(bodies)].filter((body) => body === VALID || !body.startsWith(VALID))
}

/** The accepted differences. None allows smuggling, because one side refuses the body or waits. */
const REASONS: Record<string, (body: string, ours: Reading, theirs: Reading) => boolean> = {
  'an extension outside the grammar ends at the same CRLF for every parser, so we accept it; Node refuses it': (
    body,
    ours,
    theirs,
  ) => theirs === 'refused' && ours === body.length && /;[^\r]*[\t ":\xff]|;\r|=[;\r]/.test(body),
  'we wait for the rest of a chunk; Node reads the next request as data and finds no CRLF after it': (
    _,
    ours,
    theirs,
  ) => ours === 'wants more' && theirs === 'refused',
  'the body ends early, and Node refuses its remainder as a request': (body, ours, theirs) =>
    typeof ours === 'number' && ours < body.length && theirs === 'refused',
}
/** The same for some versions of Node alone. */
const REASONS_OF_SOME: typeof REASONS = {
  'Node 20.19.0 does not check trailers as fields, and takes any byte for the CR of a line end': (body, ours, theirs) =>
    ours === 'refused' &&
    theirs === body.length &&
    !body.slice(body.lastIndexOf('\n0\r')).endsWith('0\r\nA: b\r\n\r\n'),
}

test('reads edited bodies as Node does, except for the listed differences', async () => {
  const bodies = edits()
  const theirs = await nodes(bodies)
  const counts: Record<string, number> = {}
  for (const [i, body] of bodies.entries()) {
    const [a, b] = [ours(body + NEXT), theirs[i]!]
    if (a === b) continue
    const reasonIn = (reasons: typeof REASONS) => Object.keys(reasons).find((name) => reasons[name]!(body, a, b))
    const reason = reasonIn(REASONS)
    if (reason) counts[reason] = (counts[reason] ?? 0) + 1
    else expect(reasonIn(REASONS_OF_SOME), `${JSON.stringify(body)}: ours ${a}, Node's ${b}`).toBeDefined()
  }
  expect(Object.keys(counts).sort()).toEqual(Object.keys(REASONS).sort())
})
