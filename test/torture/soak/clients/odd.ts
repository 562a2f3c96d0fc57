import { Answers } from '../answers.ts'
import { FORBIDDEN } from '../backend.ts'
import { BrokenOff, Refused } from '../judge.ts'
import { Mismatch, Verifier } from '../pattern.ts'
import type { Client, Visit } from '../visit.ts'
import { ask, get, MIB, someBody } from './requests.ts'
import { framed, post } from './uploads.ts'

/** Reads and checks a part of an answer. */
async function readSome(visit: Visit): Promise<void> {
  const wire = visit.wire()
  const answers = new Answers(wire)
  const body = someBody(visit.random, MIB / 4, 4 * MIB)
  const verifier = new Verifier(body.seed, body.length)
  const enough = visit.random.between(0, body.length)
  await wire.write(get(body))
  const answer = await answers.ok()
  visit.identify(answer)
  for await (const chunk of answers.body(answer)) {
    verifier.push(chunk)
    if (verifier.position >= enough) break
  }
  leave(visit, wire)
}

/** Sends a part of a body, which the backend checks. */
async function sendSome(visit: Visit): Promise<void> {
  const wire = visit.wire()
  const body = someBody(visit.random, MIB / 4, 4 * MIB)
  let left = visit.random.between(0, body.length)
  try {
    await wire.write(post('/sink', body))
    for (const bytes of framed(body)) {
      await wire.write(bytes)
      left -= bytes.length
      if (left <= 0) break
    }
  } catch (error) {
    if (!(error instanceof BrokenOff)) throw error
    await new Answers(wire).ok()
  }
  leave(visit, wire)
}

function leave(visit: Visit, wire: { reset(): void; destroy(): void }): void {
  if (visit.random.chance(0.5)) wire.reset()
  else wire.destroy()
  visit.did('aborted')
}

/** Leaves in the middle of an exchange, with a reset or a FIN. */
export const abort: Client = {
  name: 'abort',
  count: 4,
  async run(visit) {
    await (visit.random.chance(0.5) ? readSome(visit) : sendSome(visit))
  },
}

const FIRST = `POST ${FORBIDDEN} HTTP/1.1\r\n`
const HOST = 'Host: soak.test\r\n'
const BAD_HEADS = [
  `${FIRST}\r\n`,
  `${FIRST}${HOST}${HOST}\r\n`,
  `${FIRST}${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
  `${FIRST}${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
  `${FIRST}${HOST}Content-Length: +1\r\n\r\n`,
  `${FIRST}${HOST}Transfer-Encoding: chunked, gzip\r\n\r\n`,
  `${FIRST}${HOST}A : b\r\n\r\n`,
  `${FIRST}${HOST}A: b\r\n c\r\n\r\n`,
  `${FIRST}${HOST}A: \0\r\n\r\n`,
  `${FIRST}${HOST}A: b\rc\r\n\r\n`,
  `${FIRST}${HOST}A: ${'b'.repeat(40_000)}\r\n\r\n`,
  `${FIRST}${HOST}${'A: b\r\n'.repeat(1_100)}\r\n`,
  `POST  ${FORBIDDEN} HTTP/1.1\r\n${HOST}\r\n`,
  `POST ${FORBIDDEN} HTTP/1.2\r\n${HOST}\r\n`,
  `POST ${FORBIDDEN}\r\n${HOST}\r\n`,
  `\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03`,
]

/** Gets a 4xx and the end of the connection. No backend gets the request. */
export const badHead: Client = {
  name: 'bad head',
  count: 3,
  async run(visit) {
    const wire = visit.wire()
    const answers = new Answers(wire)
    await wire.write(Buffer.from(visit.random.pick(BAD_HEADS), 'latin1'))
    const answer = await answers.head()
    if (![400, 431, 505].includes(answer.status)) throw new Refused(answer.status)
    let length = 0
    for await (const chunk of answers.body(answer)) length += chunk.length
    if (length === 0) throw new Mismatch('an empty answer')
    await answers.end().catch((error: unknown) => {
      // The proxy does not read the rest of a bad request, so the kernel may send a reset.
      if (!(error instanceof BrokenOff)) throw error
    })
    visit.did('rejected')
  },
}

/** Opens a connection for each request. Must reach the same backend as long as that is up. */
export const sticky: Client = {
  name: 'sticky',
  count: 8,
  async run(visit) {
    const { random, scene } = visit
    const cookies = new Map<string, string>()
    let home: string | undefined
    for (let left = random.between(5, 30); left > 0 && !visit.isOver; left--) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const { fields } = await ask(visit, someBody(random, 10, 10_000), cookie ? [`Cookie: ${cookie}`] : [])
      for (const line of fields.get('set-cookie') ?? []) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (name !== undefined) cookies.set(name, value!)
      }
      if (!cookies.has('sticky') || !cookies.has('session')) throw new Error('an answer without its cookies')
      const now = visit.answeredBy!
      if (home !== undefined && home !== now && scene.wasUp(home, visit.from, performance.now())) {
        throw new Error(`came to ${now}, while its home ${home} was up`)
      }
      home = now
      await visit.pause(300)
    }
  },
}
