import { attackOf } from './attacks.ts'
import { BODIES, kindOf, type Seen } from './backends.ts'
import type { Received } from './client.ts'
import { type Message, readRequest, readResponse } from './reference.ts'
import type { Stream } from './streams.ts'
import { type Asked, isOwn } from './witness.ts'

/** Compares a backend's next request with lookup's. Returns the difference, or undefined if they agree. */
export function faultOfSeen(one: Asked | undefined, seen: Seen, { bodies, rests }: Stream): string | undefined {
  const { method, path, body, isWhole, isUpgrade, isEarly } = seen
  if (!one) return 'was not asked for, or comes out of order'
  if (one.method !== method || one.path !== path) return `was ${one.method} ${one.path}`
  if (attackOf(path)?.hook === 'lookup') return 'was sent in spite of its framing'
  if (isOwn(path)) return 'was answered by lookup'
  if (isUpgrade) return faultOfUpgrade(seen, rests.get(path) ?? '', isEarly)
  const wanted = bodies.get(path)
  return isWhole && wanted !== undefined && wanted !== body ? `has the body ${JSON.stringify(body)}` : undefined
}

function faultOfUpgrade({ path, body, isWhole }: Seen, rest: string, isEarly = false): string | undefined {
  if (isEarly) return `got ${JSON.stringify(body)} before its answer`
  if (kindOf(path) !== 'switch') return body === '' ? undefined : `got ${JSON.stringify(body)} without a 101`
  const isRight = isWhole ? body === rest : rest.startsWith(body)
  return isRight ? undefined : `got ${JSON.stringify(body)} in its tunnel`
}

/** Reads the bytes of a backend connection. Only the last request may be incomplete. Returns a broken rule. */
export function faultOfWire(wire: string, asked: ReadonlyMap<string, Asked>): string | undefined {
  for (let rest = wire; rest !== ''; ) {
    const request = readRequest(rest)
    if (typeof request === 'string') return `${request}: ${JSON.stringify(rest)}`
    const ids = request.of('x-id')
    if (ids.length !== 1 || !asked.has(ids[0]!)) return `has no id of lookup: ${JSON.stringify(rest)}`
    if (request.isSwitch || request.length === undefined) return undefined
    rest = rest.slice(request.length)
  }
  return undefined
}

/** The request whose head lookup did not see. */
const REFUSED: Pick<Asked, 'method' | 'minor' | 'path'> = { method: 'GET', minor: '1', path: '' }

/** The bodies that the answer to a request may have. Undefined: any. */
type Wanted = (request: Pick<Asked, 'method' | 'path'>) => readonly string[] | undefined

/** Intermediate servers get simple answers, see `FOR_DIRECT`. */
const wantedOfKind: Wanted = ({ method, path }) => (method === 'HEAD' ? [''] : [BODIES[kindOf(path)] ?? '', BODIES.ok])

/** Reads the answers to a client's requests, which come in order. Returns a broken rule. */
export function faultOfAnswers(
  { text, hasEnded }: Received,
  asked: readonly Asked[],
  wanted = wantedOfKind,
): string | undefined {
  let rest = text
  for (const one of [...asked, REFUSED]) {
    if (rest === '') return hasEnded && one !== REFUSED ? `${one.path} got no answer` : undefined
    const answer = skipInterim(rest, one)
    const fault = typeof answer === 'string' ? answer : faultOfAnswer(answer.message, one, hasEnded, wanted)
    // A reset may have cut it anywhere.
    if (typeof answer === 'string' && !hasEnded && !answer.includes('\r\n\r\n')) return undefined
    if (fault) return `${one.path}: ${fault}: ${JSON.stringify(rest)}`
    const { message, from } = answer as Exclude<typeof answer, string>
    if (message.isSwitch)
      return rest.slice(from).endsWith('tunnel') || !hasEnded ? undefined : `${one.path} lost its tunnel`
    if (message.length === undefined) return undefined
    rest = rest.slice(from + message.length)
    if (message.of('connection').includes('close')) break
  }
  return rest === '' ? undefined : `too much: ${JSON.stringify(rest)}`
}

/** Reads the final response. Returns the broken rule, or the text if it is incomplete. */
function skipInterim(text: string, one: Pick<Asked, 'method' | 'minor'>): { message: Message; from: number } | string {
  for (let from = 0; ; ) {
    const message = readResponse(text.slice(from), one)
    if (typeof message === 'string') return text.includes('\r\n\r\n', from) ? message : text.slice(from)
    if (message.isSwitch || message.status >= 200) return { message, from }
    from += message.length!
  }
}

function faultOfAnswer(message: Message, one: Pick<Asked, 'method' | 'path'>, hasEnded: boolean, wanted: Wanted) {
  const { status, body, length, isUntilClose, isSwitch } = message
  const [path] = message.of('x-path')
  // A refusal by the engine or a server.
  if (path === undefined) return status >= 400 ? undefined : 'answers no request'
  if (path !== one.path) return `is the answer to ${path}`
  const isCut = length === undefined
  if (isCut && hasEnded && !isUntilClose) return 'is cut short, but not by a reset'
  if (isSwitch || status >= 400) return undefined
  const bodies = status === 304 ? [''] : wanted(one)
  const isRight = !bodies || bodies.some((one) => (isCut && !hasEnded ? one.startsWith(body) : one === body))
  return isRight ? undefined : 'has the wrong body'
}
