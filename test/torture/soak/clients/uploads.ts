import { Answers } from '../answers.ts'
import { BrokenOff } from '../judge.ts'
import { Mismatch, piecesOf } from '../pattern.ts'
import type { Client, Visit } from '../visit.ts'
import type { Wire } from '../wire.ts'
import { type Body, head, MIB, someBody, take } from './requests.ts'

/** The head of a request with this body. */
export function post(path: '/sink' | '/echo', { seed, length, isChunked }: Body, ...fields: string[]): string {
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  return head('POST', `${path}?seed=${seed}&length=${length}`, framing, ...fields)
}

/** A body with its framing. */
export function* framed({ seed, length, isChunked, piece }: Body): Generator<Buffer | string> {
  for (const bytes of piecesOf(seed, length, piece)) {
    if (isChunked) yield `${bytes.length.toString(16)}\r\n`
    yield bytes
    if (isChunked) yield '\r\n'
  }
  if (isChunked) yield '0\r\n\r\n'
}

/** Sends the body. When the connection breaks, the answer shows why. */
async function send(wire: Wire, body: Body): Promise<void> {
  try {
    for (const bytes of framed(body)) await wire.write(bytes)
  } catch (error) {
    if (!(error instanceof BrokenOff)) throw error
  }
}

/** Reads the answer of a backend that received the upload as it was sent. */
async function takeRight(visit: Visit, answers: Answers): Promise<void> {
  const answer = await answers.ok()
  visit.identify(answer)
  let said = ''
  for await (const chunk of answers.body(answer)) said += chunk.toString('latin1')
  if (said !== 'right') throw new Mismatch(`the backend says '${said.slice(0, 80)}'`)
}

export const upload: Client = {
  name: 'upload',
  count: 4,
  async run(visit) {
    const wire = visit.wire()
    const answers = new Answers(wire)
    for (let left = visit.random.between(1, 3); left > 0 && !visit.isOver; left--) {
      const body = someBody(visit.random, 100, 4 * MIB)
      await wire.write(post('/sink', body))
      await send(wire, body)
      await takeRight(visit, answers)
      answers.noMore()
      visit.did('complete')
      await visit.pause(100)
    }
  },
}

/** Sends a body and reads it back at the same time. */
export const echo: Client = {
  name: 'echo',
  count: 4,
  async run(visit) {
    const wire = visit.wire()
    const answers = new Answers(wire)
    const body = { ...someBody(visit.random, 100, 2 * MIB), isChunked: true }
    await wire.write(post('/echo', body, 'Connection: close'))
    await Promise.all([send(wire, body), take(visit, answers, body)])
    await answers.end()
    visit.did('complete')
  },
}

/** Sends a FIN right after the request, and still gets the whole answer and a FIN. */
export const halfClose: Client = {
  name: 'half-close',
  count: 3,
  async run(visit) {
    const wire = visit.wire()
    const answers = new Answers(wire)
    const body = someBody(visit.random, 100, MIB)
    await wire.write(post('/sink', body, 'Connection: close'))
    await send(wire, body)
    wire.end()
    await takeRight(visit, answers)
    await answers.end()
    visit.did('complete')
  },
}
