import { STATUS_CODES } from 'node:http'
import type net from 'node:net'
import { expect } from 'vitest'
import { type ConnectionState, HeadError, type ProxyErrorCode } from '../../src/index.ts'
import { broken } from '../../src/proxy/backend-socket.ts'
import { TAKES_RESETS_FOR_ENDS } from '../../src/proxy/flow.ts'
import { checkMove } from '../../src/proxy/states.ts'
import { answer, withoutDate } from '../helpers/proxy.ts'
import type { End } from './end.ts'
import { REFUSED, RESPONSES, type Timeout } from './setup.ts'
import type { Stage } from './stage.ts'

/** After so long, a client that has not read its answer is closed on. */
const LINGER_MS = 5_000

/** Below that, kernels take all that is written. */
const BACKLOG_BYTES = 100_000

/** Failures that errback hears of. */
const ASKED: readonly ProxyErrorCode[] = ['NO_DESTINATION', 'LOOKUP_FAILED', 'CONNECT_FAILED', 'CONNECT_TIMEOUT']

/** What must hold for a connection that is over, whatever was done to it. `entered`: the states it went through. */
export function checkAll(stage: Stage, entered: ConnectionState[]): void {
  checkStates(stage, entered)
  checkHooks(stage, entered)
  checkCodes(stage)
  checkUp(stage)
  if (entered.includes('Replying')) checkAnswer(stage)
  else checkDown(stage, entered)
  checkCompleteness(stage)
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
  // A socket whose FIN is under way is reset when that has gone, and reads on until then.
  expect(server.counters.bytesRead).toBeLessThanOrEqual(connection!.bytesRead)
  expect(connection!.bytesWritten).toBeGreaterThanOrEqual(client.length)
}

function checkHooks({ calls, setup, seen }: Stage, entered: ConnectionState[]): void {
  const count = (state: ConnectionState) => entered.filter((one) => one === state).length
  expect(calls.lookup).toBe(count('Routing') > 0 ? 1 : 0)
  expect(calls.modify).toBe(count('Modifying'))
  expect(calls.modify).toBeLessThanOrEqual(1)
  const failed = seen.filter(({ error }) => error && ASKED.includes(error.code)).map(({ error }) => error)
  const isAsked = setup.errback !== null && setup.destroyIn !== 'error'
  expect(calls.errback.map(({ code }) => code)).toEqual(isAsked ? failed.map((error) => error!.code) : [])
  for (const [i, error] of calls.errback.entries()) expect(error).toBe(failed[i])
}

/** No failure without a reason. */
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
    HEAD_TIMEOUT: isLate('headTimeout'),
    NO_DESTINATION: says('nothing', 'junk'),
    LOOKUP_FAILED: lookup.endsWith('throws'),
    CONNECT_FAILED: dests.some((kind) => ['refuses', 'throws', 'over', 'late'].includes(kind)) || isBackendGone,
    CONNECT_TIMEOUT: isLate('connectTimeout'),
    ERRBACK_FAILED: says('throws', 'junk'),
    BAD_RESPONSE_HEAD: modify !== null && (response === 'garbage' || response === 'large'),
    NO_RESPONSE: isBackendGone || backends.some(({ hasEnded, sent, script }) => hasEnded && sent < script.head.length),
    RESPONSE_HEAD_TIMEOUT: isLate('responseHeadTimeout'),
    MODIFY_FAILED: modify?.endsWith('throws') ?? false,
    REPLY_FAILED: stage.readable?.stream.errored != null,
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

/** Whoever gets bytes gets a prefix of what was sent to it; whoever hears of an end has all of it. */
function checkUp(stage: Stage): void {
  const { client, setup } = stage
  const takers = stage.backends.filter(({ length }) => length > 0)
  expect(takers.length).toBeLessThanOrEqual(1)
  const [taker] = takers
  if (!taker) return
  expectPrefix(taker.received, sentUp(stage))
  if (taker.sawFin && !client.isClosed && !stage.network.isDeafToResets(setup))
    expectAllOf(client, taker, sentUp(stage))
}

function checkDown(stage: Stage, entered: ConnectionState[]): void {
  const { client } = stage
  const backend = partner(stage)
  if (!backend) {
    expect(client.received).toHaveLength(0)
    if (client.sawFin) expect(entered).toEqual(['Closed'])
    return
  }
  expectPrefix(client.received, sentDown(stage, backend))
  // Unix sockets have no RST of their own.
  const isClosed = backend.isClosed || (backend.isReset && stage.network.isDeafToResets(stage.setup))
  if (client.sawFin && !isClosed) expectAllOf(backend, client, sentDown(stage, backend))
}

/** A FIN comes after the last byte. */
function expectAllOf(from: End, to: End, all: Buffer): void {
  // Who has ended its side, or waits to be read itself, has no means to find out.
  if (TAKES_RESETS_FOR_ENDS && !to.port && from.isReset && (to.hasEnded || to.sent > BACKLOG_BYTES)) return
  must(from.hasEnded, 'an end that nobody said')
  must(to.length === all.length, `an end after ${to.length} of ${all.length} bytes`)
}

/** The backend that was reached. */
function partner({ backends, seen }: Stage): End | undefined {
  if (!seen.some(({ name }) => name === 'connected')) return undefined
  return backends.find(({ length }) => length > 0) ?? backends.at(-1)
}

function sentUp({ client, setup, calls }: Stage): Buffer {
  const { head } = client.script
  if (setup.request === 'http2') return client.script.slice(0, client.sent)
  const times = calls.errback.length
  const edits = `X-Lookup: 1\r\n${times > 0 ? `X-Errback: ${times}\r\n` : ''}`
  return client.script.with(head.toString('latin1', 0, head.length - 2).concat(edits, '\r\n'), client.sent)
}

function sentDown(stage: Stage, { script, sent }: End): Buffer {
  if (!isModified(stage)) return script.slice(0, sent)
  const [interim, final] = RESPONSES[stage.setup.response]
  const isWhole = sent >= script.head.length && stage.calls.modify > 0
  if (!isWhole) return Buffer.from(interim.slice(0, sent), 'latin1')
  const edit = stage.setup.modify?.endsWith('edits') ? 'X-Modify: 1\r\n' : ''
  return script.with(`${interim}${final.slice(0, -2)}${edit}\r\n`, sent)
}

function isModified({ setup, isHandedOver }: Stage): boolean {
  return setup.modify !== null && setup.request !== 'http2' && !isHandedOver
}

/** The client got nothing else than the engine's answer, or errback's, or so much of it as it stayed for. */
function checkAnswer(stage: Stage): void {
  const { client, readable, setup } = stage
  const received = withoutDate(client.received.toString('latin1'))
  const answers = readable ? [readable.script.slice(0, readable.pushed).toString('latin1')] : engineAnswers(stage)
  const right = answers.find((answer) => answer.startsWith(received))
  must(right !== undefined, `not an answer: ${received.slice(0, 500)}`)
  if (stage.elapsed >= LINGER_MS) return
  const isWhole = received.length === right.length && (readable?.hasEnded ?? true)
  if (client.sawFin && !client.isGone) must(isWhole, 'an end before the whole answer')
  const isBrokenOff = stage.isDestroyed || stage.isDraining || codesOf(stage).some((code) => BROKEN.includes(code))
  // Who speaks HTTP/2 could not read the engine's answer, and is reset.
  if (client.isGone || isBrokenOff || (setup.request === 'http2' && !readable)) return
  must(client.sawEnd && isWhole, 'less than the whole answer')
}

const BROKEN: readonly ProxyErrorCode[] = ['REPLY_FAILED', 'HALF_CLOSE_TIMEOUT', 'CLIENT_RESET']

/** The answer to the last failure that has one, after as many interim heads as may have gone before it. */
function engineAnswers(stage: Stage): string[] {
  const { code, status, cause } = stage.seen.findLast(({ error }) => error?.status !== undefined)!.error!
  const whole = answer(`${status} ${STATUS_CODES[status!]}`, cause instanceof HeadError ? cause.code : code)
  // What was refused as a head may have been that of a HEAD request.
  const isHead = stage.setup.request === 'head' && stage.calls.lookup > 0
  const text = isHead ? whole.slice(0, whole.indexOf('\r\n\r\n') + 4) : whole
  const heads = isModified(stage) ? RESPONSES[stage.setup.response][0].split(/(?<=\r\n\r\n)/) : []
  return ['', ...heads].map((_, count) => heads.slice(0, count).join('') + text)
}

/** Where both sides ended, nobody broke anything off, and nothing failed, all of it arrived. */
function checkCompleteness(stage: Stage): void {
  const { client, seen } = stage
  const backend = partner(stage)
  if (!backend || client.isGone || stage.isDestroyed || stage.isDraining) return
  const connected = seen.findLastIndex(({ name }) => name === 'connected')
  const isAnswered = backend.hasSaidAll && stage.network.keepsWhatWasSaid(stage)
  if (seen.slice(connected).some(({ name }) => name === 'error')) return
  if (backend.isGone && !isAnswered) return
  expectAllOf(backend, client, sentDown(stage, backend))
  expect(client.sawEnd).toBe(true)
  if (backend.isGone) return
  expectAllOf(client, backend, sentUp(stage))
  expect(backend.sawEnd).toBe(true)
}

/** No listener is left on what the engine had but those that keep a late 'error' harmless. */
function checkLeft({ near, backends, isHandedOver }: Stage): void {
  for (const [stream, before] of near) {
    expect(stream.destroyed).toBe(true)
    const isOurs = isHandedOver && backends.some((one) => one.stream === stream)
    for (const event of stream.eventNames()) {
      const name = String(event)
      // A write has failed on it, and its end would have been none.
      const isBroken = name === 'end' && broken.has(stream as net.Socket)
      // It was to be reset once its FIN had gone, and broke before.
      const isLate = name === 'finish' && stream.writableEnded && !stream.writableFinished
      const most = (before[name] ?? 0) + (LASTING[name] ?? 0) + [isOurs, isBroken, isLate].filter(Boolean).length
      const count = stream.listenerCount(event)
      must(count <= most, `${count} listeners for '${name}', before ${before[name] ?? 0}`)
    }
  }
}

/** A socket that never connected is not told to forget who waited for it. */
const LASTING: Readonly<Record<string, number>> = { error: 2, close: 1, connect: 1 }

function expectPrefix(received: Buffer, sent: Buffer): void {
  if (received.equals(sent.subarray(0, received.length))) return
  const at = received.findIndex((byte, i) => byte !== sent[i])
  throw new Error(`byte ${at} of ${received.length} that came is not the one that was sent (of ${sent.length})`)
}

function must(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}
