import { expect, vi } from 'vitest'
import type { ConnectionState, Counters, ProxyErrorCode } from '../../../../src/index.ts'
import type { BackendConnection } from '../../../../src/proxy/backend-connection.ts'
import { checkMove, LINGER_MS } from '../../../../src/proxy/states.ts'
import { BackendSocket } from '../../../../src/proxy/tunnel/backend-socket.ts'
import type { ModelClient } from './client.ts'
import { SHARED } from './network.ts'
import type { TimeoutName } from './setup.ts'
import type { World } from './world.ts'

function must(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Error(otherwise)
}

/** Checks what is true at any time. */
export function checkNow(world: World): void {
  const { clients, backends, faults, network } = world
  const found = [...faults, ...clients.map(({ responses }) => responses.fault), ...backends.map((one) => one.fault)]
  for (const fault of found) if (fault) throw fault
  must(network.faults.length === 0, network.faults.join())
  const idle = SHARED.flatMap((place) => world.inspector.pool?.idleAt(place) ?? [])
  const shared = idle.filter(({ isPrivate }) => !isPrivate)
  must(shared.length === (world.inspector.pool?.size ?? 0), 'the pool counts other connections than it has')
  for (const connection of idle) checkIdle(world, connection)
  checkAlive(world, idle)
  checkCounters(world)
}

/** Listeners of a backend connection: those of `BackendConnection`, and one of `net.Socket`. */
const LISTENERS: Readonly<Record<string, number>> = { data: 1, end: 2, error: 1, close: 1 }

/** Nobody uses a connection in the pool, and it notices each byte and an end. */
function checkIdle({ inspector, network, backends }: World, connection: BackendConnection): void {
  const { stream } = connection
  must(stream instanceof BackendSocket, 'the pool has another connection at this address')
  const wire = network.wires.get(stream)!
  must(!inspector.hasUser(connection), 'an idle connection has a user')
  must(stream.borrower === undefined && !wire.holdsBuffer, 'an idle connection keeps a lent buffer')
  must(!stream.destroyed && !stream.writableEnded, 'an idle connection has ended')
  must(connection.isPrivate || stream.writableLength === 0, 'an idle connection has not sent its request')
  must(wire.isReading && stream.readableFlowing === true, 'an idle connection is not read')
  must(!wire.isRefd, 'an idle connection keeps the process alive')
  for (const name of stream.eventNames()) {
    const most = LISTENERS[String(name)] ?? 0
    must(stream.listenerCount(name) <= most, `an idle connection has listeners for '${String(name)}'`)
  }
  const backend = backends.find((one) => one.wire === wire)!
  must(backend.open === undefined, 'a connection is idle before its response has ended')
}

/** Each backend connection is idle, or one client uses it. */
function checkAlive({ network, server }: World, idle: BackendConnection[]): void {
  const alive = network.sockets.filter(({ destroyed, writableEnded, writableFinished, connecting }) => {
    // It is reset after its FIN.
    const isEnding = writableEnded && !writableFinished
    return !destroyed && !isEnding && !connecting
  })
  must(alive.length <= idle.length + server.active.size, `${alive.length} backend connections, ${idle.length} idle`)
}

function checkCounters({ server, clients, counts, seen }: World): void {
  const { counters } = server
  const met = clients.filter(({ connection }) => connection)
  const errors = met.flatMap((client) => client.errors.map(({ code }) => code))
  const count = (...codes: ProxyErrorCode[]) => errors.filter((code) => codes.includes(code)).length
  const closed = met.filter(({ isClosed }) => isClosed).length
  const right: Partial<Counters> = {
    accepted: met.length,
    open: met.length - closed,
    requests: counts.start,
    connected: counts.connected,
    reuses: counts.reuses,
    connectFailures: count('CONNECT_FAILED', 'CONNECT_TIMEOUT'),
    badHeads: count('BAD_HEAD'),
  }
  for (const [name, value] of Object.entries(right)) {
    const counted = counters[name as keyof Counters]
    must(counted === value, `${name}: counted ${counted} instead of ${value}`)
  }
  const outcomes = Object.values(counters.outcomes).reduce((sum, one) => sum + one, 0)
  must(outcomes === closed, `${outcomes} outcomes of ${closed} connections`)
  const asked = clients.flatMap((client) => client.asked)
  const again = asked.reduce((sum, { takers }) => sum + Math.max(0, takers.length - 1), 0)
  must(again <= counters.retries + counts.errbacks, `${again} requests came again, ${counters.retries} were counted`)
  must(seen.length <= counts.start, 'lookup saw more requests than there are')
  for (const { lookups } of asked) must(lookups <= 1, 'lookup saw a request twice')
}

/** Checks what is true once nothing moves any more: a client's FIN has gone on to its backend. */
export function checkSettled({ clients }: World): void {
  for (const client of clients) {
    const asked = client.asked.at(-1)
    const backend = asked?.takers.at(-1)
    const isHeld = client.isHeld || backend?.isHeld || backend?.stream.isPaused()
    if (!asked || !backend || isHeld || !client.hasEnded || client.connection?.state !== 'AwaitingResponse') continue
    const isAwaited = backend.open === asked && backend.isWhole && backend.reply === undefined && !backend.isOver
    if (isAwaited && asked.name !== 'upgrade' && asked.end === client.sent)
      must(backend.sawEnd, "a backend was not told of its client's end")
  }
}

/** Checks the whole run, after every connection has closed. */
export function checkEnd(world: World): void {
  checkNow(world)
  const { clients, server, network, inspector, isDraining, setup } = world
  for (const entered of inspector.states.values()) checkStates(entered)
  expect(inspector.states.size).toBe(clients.filter(({ connection }) => connection).length)
  expect(server.active.size).toBe(0)
  expect(inspector.pool?.size ?? 0).toBe(0)
  must(
    network.sockets.every(({ destroyed }) => destroyed),
    'a backend connection is left open',
  )
  must(world.untold.length === 0, 'a backend was not told that its connection is closed')
  expect(vi.getTimerCount(), 'timers').toBe(0)
  expect(world.counts.end, "'end' messages").toBe(world.counts.start)
  for (const client of clients) checkReasons(world, client)
  const isLate = world.elapsed >= LINGER_MS || (world.elapsed > 0 && Object.keys(setup.timeouts).length > 0)
  const mayMiss = isDraining || isLate
  for (const client of clients) if (!mayMiss) client.checkWhole()
}

function checkStates(entered: ConnectionState[]): void {
  let from: ConnectionState = 'AwaitingHead'
  for (const state of entered) {
    checkMove(from, state)
    from = state
  }
  expect(entered.filter((state) => state === 'Closed')).toHaveLength(1)
  expect(from).toBe('Closed')
}

/** Every error has a reason. */
function checkReasons(world: World, client: ModelClient): void {
  const { setup, elapsed, backends, isDraining } = world
  const { asked, hasEnded, isReset, isDestroyed } = client
  const isLate = (...names: TimeoutName[]) => elapsed > 0 && names.some((name) => setup.timeouts[name] !== undefined)
  const isBackendGone = backends.some((one) => one.hasEnded || one.isGone)
  const replies = asked.flatMap((one) => one.replies)
  const says = (...whats: string[]) =>
    asked.some(({ route }) => whats.includes(route)) ||
    setup.errback?.some((plan) => whats.some((what) => plan.endsWith(what)))
  const couldBe: Partial<Record<ProxyErrorCode, boolean | undefined>> = {
    BAD_HEAD: hasEnded || isReset || asked.some(({ name }) => name === 'bad'),
    BAD_REQUEST_BODY: hasEnded || asked.some(({ name }) => name === 'bad body'),
    HEAD_TIMEOUT: isLate('headTimeout'),
    NO_DESTINATION: says('nothing'),
    LOOKUP_FAILED: says('throws'),
    CONNECT_FAILED: says('dead', 'late') || client.hasGivenUp,
    CONNECT_TIMEOUT: isLate('connectTimeout'),
    ERRBACK_FAILED: says('throws'),
    REQUEST_BODY_TIMEOUT: isLate('bodyTimeout'),
    REQUEST_SEND_TIMEOUT: isLate('bodyTimeout'),
    RESPONSE_BODY_TIMEOUT: isLate('bodyTimeout'),
    RESPONSE_HEAD_TIMEOUT: isLate('responseHeadTimeout'),
    BAD_RESPONSE_HEAD: replies.some(({ isRefused }) => isRefused),
    UNASKED_UPGRADE: replies.some(({ isRefused, name }) => isRefused && name === 'switch'),
    BAD_RESPONSE_BODY: replies.some(({ name, hasEnd }) => name === 'bad body' || hasEnd),
    NO_RESPONSE: isBackendGone,
    MODIFY_FAILED: setup.modify?.endsWith('throws'),
    CLIENT_GONE: hasEnded,
    CLIENT_RESET: isReset,
    BACKEND_RESET: isBackendGone,
    DESTROYED: isDestroyed || isDraining,
    IDLE_TIMEOUT: isLate('idleTimeout'),
    HALF_CLOSE_TIMEOUT: isLate('halfCloseTimeout'),
  }
  for (const { code } of client.errors) must(couldBe[code] === true, `${code} without a reason`)
}
