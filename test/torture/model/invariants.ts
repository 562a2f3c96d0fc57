import { STATUS_CODES } from 'node:http'
import type net from 'node:net'
import { expect } from 'vitest'
import { type ConnectionState, HeadError, type ProxyErrorCode } from '../../../src/index.ts'
import { checkMove } from '../../../src/proxy/states.ts'
import { broken } from '../../../src/proxy/tunnel/backend-socket.ts'
import { REPORTS_RESETS_AS_ENDS } from '../../../src/proxy/tunnel/flow.ts'
import { answer, withoutDate } from '../../helpers/proxy.ts'
import type { End } from './end.ts'
import { isModified, partner, sentDown, sentUp } from './sent.ts'
import { REFUSED, RESPONSES, type Timeout } from './setup.ts'
import type { Stage } from './stage.ts'

/** ms after which a client that has not read its answer is closed. */
const LINGER_MS = 5_000

/** Kernels accept writes up to this size. */
const BACKLOG_BYTES = 100_000

/** Codes for which errback is called. */
const ASKED: readonly ProxyErrorCode[] = ['NO_DESTINATION', 'LOOKUP_FAILED', 'CONNECT_FAILED', 'CONNECT_TIMEOUT']

/** Checks the invariants of a closed connection. `entered` are the states that it went through. */
export function checkAll(stage: Stage, entered: ConnectionState[]): void {
  checkStates(stage, entered)
  checkHooks(stage, entered)
  checkCodes(stage)
  checkUp(stage)
  if (entered.includes('Replying')) checkAnswer(stage)
  else checkDown(stage, entered)
  checkCompleteness(stage, entered)
  checkLeft(stage)
}

function checkStates({ seen, connection, server, client }: Stage, entered: ConnectionState[]): void {
  const names = seen.map(({ name }) => name)
  expect(names.filter((name) => name === 'open' || name === 'close')).toEqual(['open', 'close'])
  expect([names[0], names.at(-1)]).toEqual(['open', 'close'])
  const expected: Partial<Record<string, ConnectionState[]>> = {
    open: ['AwaitingHead'],
    routed: ['Routing'],
    connected: ['Connecting', 'HandedOver'],
    close: ['Closed'],
  }
  for (const { name, state } of seen) expect(expected[name] ?? [state]).toContain(state)
  let from: ConnectionState = 'AwaitingHead'
  for (const state of entered) {
    checkMove(from, state)
    from = state
  }
  expect(entered.filter((state) => state === 'Closed')).toHaveLength(1)
  expect(entered.at(-1)).toBe('Closed')
  expect(server.counters).toMatchObject({ accepted: 1, open: 0 })
  // A socket that is sending its FIN is reset later, and reads until then.
  expect(server.counters.bytesRead).toBeLessThanOrEqual(connection!.bytesRead)
  expect(connection!.bytesWritten).toBeGreaterThanOrEqual(client.length)
}

function checkHooks({ calls, setup, seen }: Stage, entered: ConnectionState[]): void {
  const count = (state: ConnectionState) => entered.filter((one) => one === state).length
  expect(calls.lookup).toBe(count('Routing') > 0 ? 1 : 0)
  expect(calls.modify).toBe(setup.modify === null ? 0 : count('Modifying'))
  expect(calls.modify).toBeLessThanOrEqual(1)
  const failed = seen.filter(({ error }) => error && ASKED.includes(error.code)).map(({ error }) => error)
  const isAsked = setup.errback !== null && setup.destroyIn !== 'error'
  expect(calls.errback.map(({ code }) => code)).toEqual(isAsked ? failed.map((error) => error!.code) : [])
  for (const [i, error] of calls.errback.entries()) expect(error).toBe(failed[i])
}

/** Every error has a reason. */
function checkCodes(stage: Stage): void {
  const { setup, client, backends } = stage
  const { request, response, modify, lookup, errback, dests } = setup
  const isLate = (name: Timeout) => setup.timeouts[name] > 0 && stage.hasElapsed
  const isBackendGone = backends.some(({ isGone }) => isGone)
  const hooks = [lookup, ...(errback ?? [])]
  const says = (...whats: string[]) => hooks.some((plan) => whats.some((what) => plan.endsWith(` ${what}`)))
  const couldBe: Partial<Record<ProxyErrorCode, boolean>> = {
    BAD_HEAD:
      REFUSED.includes(request) || client.isGone || (client.hasEnded && client.sent < client.script.head.length),
    HTTP2_REFUSED: request === 'http2' && setup.http2 === 'refuse',
    HEAD_TIMEOUT: isLate('headTimeout'),
    NO_DESTINATION: says('nothing', 'junk'),
    LOOKUP_FAILED: lookup.endsWith('throws') || (request === 'http2' && lookup.endsWith('response')),
    CONNECT_FAILED: dests.some((kind) => ['refuses', 'throws', 'over', 'late'].includes(kind)) || isBackendGone,
    CONNECT_TIMEOUT: isLate('connectTimeout'),
    ERRBACK_FAILED: says('throws', 'junk') || (request === 'http2' && says('response')),
    BAD_RESPONSE_HEAD: modify !== null && (response === 'garbage' || response === 'large'),
    NO_RESPONSE: isBackendGone || backends.some(({ hasEnded, sent, script }) => hasEnded && sent < script.head.length),
    RESPONSE_HEAD_TIMEOUT: isLate('responseHeadTimeout'),
    MODIFY_FAILED: modify?.endsWith('throws') ?? false,
    REPLY_FAILED: stage.readable?.stream.errored != null,
    CLIENT_GONE: client.isGone || client.hasEnded,
    CLIENT_RESET: client.isGone,
    BACKEND_RESET: isBackendGone,
    DESTROYED: stage.isDestroyed || stage.isDraining,
    IDLE_TIMEOUT: isLate('idleTimeout'),
    HALF_CLOSE_TIMEOUT: isLate('halfCloseTimeout') && stage.hasHalf,
  }
  for (const code of codesOf(stage)) must(couldBe[code] === true, `${code} without a reason`)
}

function codesOf({ seen }: Stage): ProxyErrorCode[] {
  return seen.flatMap(({ error }) => error?.code ?? [])
}

/** Received bytes are a prefix of the sent ones. After a FIN they are all of them. */
function checkUp(stage: Stage): void {
  const { client, setup } = stage
  const takers = stage.backends.filter(({ length }) => length > 0)
  expect(takers.length).toBeLessThanOrEqual(1)
  const [taker] = takers
  if (!taker) return
  expectPrefix(taker.received, sentUp(stage))
  if (taker.sawFin && !client.isClosed && !stage.network.seesResetsAsEnds(setup))
    expectAllOf(client, taker, sentUp(stage))
}

function checkDown(stage: Stage, entered: ConnectionState[]): void {
  const { client } = stage
  const backend = partner(stage)
  if (!backend) {
    expect(client.received).toHaveLength(0)
    // A hook that returns nothing, and a failure without an answer, reset the client.
    if (client.sawFin) must(entered.join() === 'Closed', 'an end before a response')
    return
  }
  const sent = sentDown(stage, backend, entered)
  expectPrefix(client.received, sent)
  // Unix sockets have no RST.
  const isClosed = backend.isClosed || (backend.isReset && stage.network.seesResetsAsEnds(stage.setup))
  if (client.sawFin && !isClosed) expectAllOf(backend, client, sent)
}

/** A FIN arrives after the last byte. */
function expectAllOf(from: End, to: End, all: Buffer): void {
  // An end that has ended its side, or whose writes wait, cannot notice.
  if (REPORTS_RESETS_AS_ENDS && !to.port && from.isReset && (to.hasEnded || to.sent > BACKLOG_BYTES)) return
  must(from.hasEnded, 'an end that nobody said')
  must(to.length === all.length, `an end after ${to.length} of ${all.length} bytes`)
}

/** The client got the answer of the engine or of a hook, or its start if it left early. */
function checkAnswer(stage: Stage): void {
  const { client, readable, setup } = stage
  const received = withoutDate(client.received.toString('latin1'))
  const answers = readable ? [readable.script.slice(0, readable.pushed).toString('latin1')] : ownAnswers(stage)
  const right = answers.find((answer) => answer.startsWith(received))
  must(right !== undefined, `not an answer: ${received.slice(0, 500)}`)
  if (stage.elapsed >= LINGER_MS) return
  const isWhole = received.length === right.length && (readable?.hasEnded ?? true)
  if (client.sawFin && !client.isGone) must(isWhole, 'an end before the whole answer')
  const isBrokenOff = stage.isDestroyed || stage.isDraining || codesOf(stage).some((code) => BROKEN.includes(code))
  // An HTTP/2 client could not read the engine's answer, and is reset.
  if (client.isGone || isBrokenOff || (setup.request === 'http2' && setup.http2 === 'pass' && !readable)) return
  must(client.sawEnd && isWhole, 'less than the whole answer')
}

const BROKEN: readonly ProxyErrorCode[] = ['REPLY_FAILED', 'HALF_CLOSE_TIMEOUT', 'CLIENT_RESET']

function ownAnswers(stage: Stage): string[] {
  if (!stage.hasResponse) return engineAnswers(stage)
  const head = 'HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n'
  return [stage.setup.request === 'head' ? head : `${head}hello`]
}

/** The answer to the last error that has a status, after possible interim heads. */
function engineAnswers(stage: Stage): string[] {
  const { code, status, cause } = stage.seen.findLast(({ error }) => error?.status !== undefined)!.error!
  const whole = answer(`${status} ${STATUS_CODES[status!]}`, cause instanceof HeadError ? cause.code : code)
  // A refused head may have been that of a HEAD request.
  const isHead = stage.setup.request === 'head' && stage.calls.lookup > 0
  const text = isHead ? whole.slice(0, whole.indexOf('\r\n\r\n') + 4) : whole
  const heads = isModified(stage) ? RESPONSES[stage.setup.response][0].split(/(?<=\r\n\r\n)/) : []
  return ['', ...heads].map((_, count) => heads.slice(0, count).join('') + text)
}

/** If both sides ended without a reset or an error, every byte arrived. */
function checkCompleteness(stage: Stage, entered: ConnectionState[]): void {
  const { client, seen } = stage
  const backend = partner(stage)
  if (!backend || client.isGone || stage.isDestroyed || stage.isDraining) return
  const connected = seen.findLastIndex(({ name }) => name === 'connected')
  const isAnswered = backend.hasSaidAll && stage.network.keepsWhatWasSaid(stage)
  if (seen.slice(connected).some(({ name }) => name === 'error')) return
  if (backend.isGone && !isAnswered) return
  const sent = sentDown(stage, backend, entered)
  expectAllOf(backend, client, sent)
  expect(client.sawEnd).toBe(true)
  if (backend.isGone) return
  expectAllOf(client, backend, sentUp(stage))
  expect(backend.sawEnd).toBe(true)
}

/** The engine leaves no listeners on its streams, except those for a late 'error'. */
function checkLeft({ near, backends, isHandedOver }: Stage): void {
  for (const [stream, before] of near) {
    expect(stream.destroyed).toBe(true)
    const isOurs = isHandedOver && backends.some((one) => one.stream === stream)
    for (const event of stream.eventNames()) {
      const name = String(event)
      // A write has failed, and the listener would have turned the end into an error.
      const isBroken = name === 'end' && broken.has(stream as net.Socket)
      // It should have been reset after its FIN, and failed before.
      const isLate = name === 'finish' && stream.writableEnded && !stream.writableFinished
      const most = (before[name] ?? 0) + (LASTING[name] ?? 0) + [isOurs, isBroken, isLate].filter(Boolean).length
      const count = stream.listenerCount(event)
      must(count <= most, `${count} listeners for '${name}', before ${before[name] ?? 0}`)
    }
  }
}

/** A socket that never connected keeps its 'connect' listener. */
const LASTING: Readonly<Record<string, number>> = { error: 2, close: 1, connect: 1 }

function expectPrefix(received: Buffer, sent: Buffer): void {
  if (received.equals(sent.subarray(0, received.length))) return
  const at = received.findIndex((byte, i) => byte !== sent[i])
  throw new Error(`byte ${at} of ${received.length} that came is not the one that was sent (of ${sent.length})`)
}

function must(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}
