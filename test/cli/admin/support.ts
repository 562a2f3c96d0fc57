import http from 'node:http'
import type { AdminStatus, BackendDetails, Controls } from '../../../src/cli/admin/controls.ts'
import { History } from '../../../src/cli/admin/history.ts'
import type { RequestsOptions } from '../../../src/cli/admin/requests.ts'
import { type AdminOptions, AdminServer } from '../../../src/cli/admin/server.ts'
import type { SetupOptions } from '../../../src/cli/admin/setup.ts'
import type { ServiceCounters } from '../../../src/cli/counters.ts'
import { addUp } from '../../../src/proxy/index.ts'
import { type Answer, send } from '../../helpers/http.ts'
import { listen } from '../../helpers/net.ts'
import { DEFAULTS } from '../config/support.ts'

export const TOKEN = 'pa$$w0rd/+=~!'

export function statusOf(id: string, about: Partial<AdminStatus> = {}): AdminStatus {
  return {
    id,
    pool: 'default',
    address: '127.0.0.1:3001',
    source: undefined,
    state: 'up',
    draining: false,
    drainingSince: undefined,
    drainedBy: about.draining ? ['operator'] : [],
    backup: false,
    weight: 1,
    configuredWeight: 1,
    effectiveWeight: 1,
    maxConnections: Number.POSITIVE_INFINITY,
    connections: 0,
    total: 0,
    failures: 0,
    ejectedUntil: undefined,
    ejections: 0,
    bytesRead: 0,
    bytesWritten: 0,
    since: 1_700_000_000_000,
    retryAt: undefined,
    lastError: undefined,
    ...about,
  }
}

/** A balancer that only records the calls. */
export class NotedBalancer implements Controls {
  readonly statuses: AdminStatus[]
  /** The calls, such as 'drain web-1', in order. */
  readonly calls: string[] = []

  constructor(statuses: AdminStatus[]) {
    this.statuses = statuses
  }

  get backends(): AdminStatus[] {
    return this.statuses.map((status) => ({ ...status }))
  }

  readonly removed: AdminStatus[] = []

  drain(id: string): void {
    Object.assign(this.#note('drain', id), { draining: true, drainingSince: Date.now(), drainedBy: ['operator'] })
  }

  ready(id: string): void {
    Object.assign(this.#note('ready', id), { draining: false, drainingSince: undefined, drainedBy: [] })
  }

  kill(id: string): number {
    const status = this.#note('kill', id)
    const { connections } = status
    status.connections = 0
    return connections
  }

  setWeight(id: string, weight: number | undefined): void {
    const status = this.#note(`weigh ${weight}`, id)
    status.weight = weight ?? status.configuredWeight
  }

  details(id: string): BackendDetails {
    const { pool } = this.#note('details', id)
    return { id, pool, checks: [], transitions: [] }
  }

  #note(action: string, id: string): AdminStatus {
    const status = this.statuses.find((one) => one.id === id)
    if (!status) throw new RangeError(`no backend ${JSON.stringify(id)}`)
    this.calls.push(`${action} ${id}`)
    return status
  }
}

export const COUNTERS: ServiceCounters = {
  accepted: 12,
  open: 3,
  connected: 10,
  requests: 21,
  reuses: 5,
  retries: 3,
  badHeads: 2,
  connectFailures: 1,
  bytesRead: 4_096,
  bytesWritten: 1_234_567,
  handshakeFailures: 4,
  turnedAway: 5,
  limitedConnections: 6,
  limitedRequests: 7,
  queued: 6,
  outcomes: { ...addUp([]).outcomes, ok: 5, NO_DESTINATION: 4 },
}

export const NO_SETUP: SetupOptions & RequestsOptions = {
  recent: () => undefined,
  inForce: () => ({ config: DEFAULTS, listeners: [] }),
  certificates: () => [],
}

interface Question {
  method?: string
  path?: string
  headers?: http.OutgoingHttpHeaders
  body?: string
}

/** An admin server, and a function that sends it requests. */
export async function startAdmin(options: Partial<AdminOptions> = {}, backends = [statusOf('web-1')]) {
  const balancer = new NotedBalancer(backends)
  const said: string[] = []
  const server = new AdminServer({
    balancer,
    counters: () => COUNTERS,
    requests: () => [],
    history: () => new History(),
    isDraining: () => false,
    ...NO_SETUP,
    say: (line) => said.push(line),
    token: TOKEN,
    version: '1.2.3',
    ...options,
  })
  const port = await listen(server)
  const ask = ({ method = 'GET', path = '/', headers = {}, body = '' }: Question = {}): Promise<Answer> =>
    send(http.request({ port, host: '127.0.0.1', method, path, headers, agent: false }), body)
  const act = (action: string, headers: http.OutgoingHttpHeaders = {}, body = ''): Promise<Answer> => {
    const needed = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' }
    return ask({ method: 'POST', path: `/api/backends/${action}`, headers: { ...needed, ...headers }, body })
  }
  return { balancer, server, said, port, url: `http://127.0.0.1:${port}/`, ask, act }
}

export function jsonOf({ body }: Answer): unknown {
  return JSON.parse(body.toString())
}
