import fc from 'fast-check'
import { noise } from './bytes.ts'
import type { Peer } from './net.ts'
import { turns } from './turns.ts'

/** Bytes to send in pieces. Each piece waits for a number of event loop turns. */
type Pieces = { bytes: Buffer; turns: number; isFlushed: boolean }[]

/** One side of a conversation. */
export interface Part {
  /** The head. A response also has the interim heads before it. */
  interim: string
  head: string
  /** The head with the bytes before and after it, including the messages. */
  pieces: Pieces
  /** Turns before it starts to read. */
  deafTurns: number
  /** Sent after the other side has ended. */
  lastWords: Buffer
}

/** A whole conversation. */
export interface Talk {
  client: Part
  backend: Part
  /** Whether the backend sends before it has read anything. */
  isEager: boolean
  /** The side that ends first. The other ends after it has received that FIN. */
  ends: 'client' | 'backend' | 'both'
  /** Turns that lookup and modify take. With 0 they are synchronous. */
  lookupTurns: number
  modifyTurns: number
  /** Whether the hooks change the heads. */
  isEdited: boolean
}

const token = fc.string({ unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 12 })
const value = fc.string({ unit: fc.constantFrom(...'abc XYZ\t019,;="<>\u00e4\u00ff'), maxLength: 30 })
const space = fc.constantFrom('', ' ', '\t', '  \t ')
// The prefix keeps the names free of meaning for badass.
const field = fc
  .tuple(token, space, value, space)
  .map(([name, before, text, after]) => `X-${name}:${before}${text}${after}\r\n`)
const fields = fc.array(field, { maxLength: 8 }).map((lines) => lines.join(''))

const requestHead = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'OPTIONS', 'M-SEARCH'),
    fc.constantFrom('/', '/a?b=c', '/%20{|}', 'http://a/'),
    fields,
    fc.constantFrom(
      '',
      'Transfer-Encoding: chunked\r\n',
      'Content-Length: 7\r\n',
      'Connection: Upgrade\r\nUpgrade: x\r\n',
    ),
  )
  .map(([method, target, lines, framing]) => `${method} ${target} HTTP/1.1\r\n${lines}host: a\r\n${framing}\r\n`)

const statusLine = fc.constantFrom(
  '200 OK',
  '204',
  '304 ',
  '101 Switching Protocols',
  '404 Nicht gefunden \xfc',
  '599 x',
)
const responseHead = fc
  .tuple(
    statusLine,
    fields,
    fc.constantFrom('', 'Transfer-Encoding: chunked\r\n', 'Set-Cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=2\r\n'),
  )
  .map(([status, lines, framing]) => `HTTP/1.1 ${status}\r\n${lines}${framing}\r\n`)
const interimHeads = fc
  .array(
    fc
      .tuple(fc.constantFrom('100 Continue', '103 Early Hints', '199'), fields)
      .map((parts) => `HTTP/1.1 ${parts.join('\r\n')}\r\n`),
    { maxLength: 2 },
  )
  .map((heads) => heads.join(''))

const bytes = fc
  .tuple(
    fc.oneof({ weight: 6, arbitrary: fc.nat(200) }, { weight: 3, arbitrary: fc.nat(20_000) }, fc.nat(400_000)),
    fc.nat(1000),
  )
  .map(([size, seed]) => noise(size, seed))

const cut = fc.record({
  /** Whether the cut is in the head. Otherwise it can be anywhere. */
  isInHead: fc.boolean(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  turns: fc.nat(5),
  isFlushed: fc.boolean(),
})

function part(interim: fc.Arbitrary<string>, head: fc.Arbitrary<string>): fc.Arbitrary<Part> {
  return fc
    .record({
      interim,
      head,
      body: fc.array(bytes, { maxLength: 3 }),
      cuts: fc.array(cut, { maxLength: 10 }),
      lastWords: bytes,
      deafTurns: fc.oneof(fc.constant(0), fc.nat(40)),
    })
    .map(({ interim, head, body, cuts, ...rest }) => {
      const start = Buffer.from(interim + head, 'latin1')
      const all = Buffer.concat([start, ...body])
      const places = cuts
        .map((cut) => ({ ...cut, at: Math.floor(cut.at * (cut.isInHead ? start.length : all.length)) }))
        .sort((a, b) => a.at - b.at)
      const pieces: Pieces = []
      let from = 0
      for (const { at, turns, isFlushed } of [...places, { at: all.length, turns: 0, isFlushed: true }]) {
        if (at > from) pieces.push({ bytes: all.subarray(from, at), turns, isFlushed })
        from = at
      }
      return { interim, head, pieces, ...rest }
    })
}

export const talk: fc.Arbitrary<Talk> = fc.record({
  client: part(fc.constant(''), requestHead),
  backend: part(interimHeads, responseHead),
  isEager: fc.boolean(),
  ends: fc.constantFrom('client', 'backend', 'both'),
  lookupTurns: fc.nat(4),
  modifyTurns: fc.nat(4),
  isEdited: fc.boolean(),
})

/** Runs one side until both sides have ended. */
export async function play(peer: Peer, { pieces, deafTurns, lastWords }: Part, isFirst: boolean): Promise<void> {
  if (deafTurns > 0) {
    peer.socket.pause()
    void turns(deafTurns).then(() => peer.socket.resume())
  }
  for (const { bytes, turns: count, isFlushed } of pieces) {
    if (isFlushed) await peer.flush(bytes)
    else peer.write(bytes)
    await turns(count)
  }
  if (!isFirst) {
    await peer.ended()
    peer.write(lastWords)
  }
  peer.socket.end()
  await peer.ended()
  await peer.closed()
}

/** All bytes of one side, with the head as the hooks change it. */
export function sent({ interim, head, pieces, lastWords }: Part, isFirst: boolean, newHead = head): Buffer {
  const all = Buffer.concat([...pieces.map(({ bytes }) => bytes), ...(isFirst ? [] : [lastWords])])
  return Buffer.concat([Buffer.from(interim + newHead, 'latin1'), all.subarray(interim.length + head.length)])
}
