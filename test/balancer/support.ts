import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import type net from 'node:net'
import { onTestFinished } from 'vitest'
import {
  type BackendStatus,
  type Balancer,
  type BalancerEvents,
  type BalancerOptions,
  createBalancer,
} from '../../src/balancer/index.ts'
import { type Head, parseHead } from '../../src/parser/index.ts'
import type { ClientInfo } from '../../src/proxy/index.ts'
import { readAll } from '../helpers/bytes.ts'
import { connect, listen } from '../helpers/net.ts'

/** A balancer that closes after the test. Backends that are down stay down by default. */
export function balancerOf(options: BalancerOptions = {}): Balancer {
  const balancer = createBalancer({ backoff: { min: 600_000, max: 600_000 }, ...options })
  onTestFinished(() => balancer.close())
  return balancer
}

export const CLIENT: ClientInfo = {
  transport: 'tcp',
  remoteAddress: '192.0.2.1',
  remotePort: 50_000,
  localPort: 80,
  encrypted: false,
}

/** A client with this address; without one, a client of a Unix socket. */
export function clientAt(remoteAddress: string | undefined): ClientInfo {
  const transport = remoteAddress === undefined ? 'unix' : 'tcp'
  return { ...CLIENT, transport, remoteAddress }
}

/** A request head; `first` is its start line. */
export function requestHead(first = 'GET / HTTP/1.1', ...lines: string[]) {
  return parseHead(Buffer.from([first, 'Host: a', ...lines, '', ''].join('\r\n'), 'latin1'), 'request')
}

/** A whole request; the backend closes after its response. */
export function request(first = 'GET / HTTP/1.1', ...lines: string[]): string {
  return [first, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n')
}

/** The Route that a lookup returns at once. */
export function lookUp(balancer: Balancer, head: Head, ...rest: [ClientInfo] | [string | undefined, ClientInfo]) {
  const [sticky, client = sticky as ClientInfo] = rest
  const route = balancer.lookup(head, typeof sticky === 'string' ? sticky : undefined, client)
  if (route instanceof Promise) throw new Error('the request waits')
  return route
}

/** The Route of a client without a home. */
export function choose(balancer: Balancer, client = CLIENT): string | undefined {
  return lookUp(balancer, requestHead(), client)?.backend.id
}

/** The Routes of a number of clients without a home, in order. */
export function chooseMany(balancer: Balancer, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => choose(balancer))
}

/** How many of so many new clients, which all stay, go to a backend. */
export function countOf(balancer: Balancer, id: string, clients: number): number {
  const ids: string[] = []
  const open: object[] = []
  for (let i = 0; i < clients; i++) {
    const dest = lookUp(balancer, requestHead(), clientAt(`10.0.0.${i}`))!
    const connection = { state: 'Routing', bytesRead: 0, bytesWritten: 0 }
    channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
    ids.push(dest.backend.id)
    open.push(connection)
  }
  for (const connection of open) channel('badass:connection:close').publish({ connection })
  return ids.filter((one) => one === id).length
}

/** A backend answers a request with 503. */
export function misbehave(balancer: Balancer, id: string): void {
  const dest = lookUp(balancer, requestHead(), stickyOf(id), CLIENT)
  const connection = {}
  channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
  channel('badass:request:response').publish({ connection, dest, status: 503, response: {} })
  channel('badass:connection:close').publish({ connection })
}

/** The Route of a client with this sticky value. */
export function comeBack(balancer: Balancer, sticky: string | undefined): string | undefined {
  return lookUp(balancer, requestHead(), sticky, CLIENT)?.backend.id
}

/** The sticky value of this id, made by an unrelated balancer. */
export function stickyOf(id: string, secret?: BalancerOptions['secret']): string {
  const other = createBalancer({ backends: [{ port: 1, id }], secret })
  const { sticky } = lookUp(other, requestHead(), CLIENT)!
  other.close()
  return sticky
}

export function statusOf(balancer: Balancer, id: string): BackendStatus {
  const status = balancer.backends.find((one) => one.id === id)
  if (!status) throw new Error(`no backend ${id}`)
  return status
}

/** Resolves when the condition holds. It is checked now and at each connection event. */
export async function until(isSo: () => boolean): Promise<void> {
  let wake: () => void = () => undefined
  const heard = () => wake()
  const names = [
    'request:start',
    'connection:routed',
    'connection:connecting',
    'connection:connected',
    'request:end',
    'connection:error',
    'connection:close',
  ].map((name) => `badass:${name}`)
  for (const name of names) subscribe(name, heard)
  try {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    for (const name of names) unsubscribe(name, heard)
  }
}

/** Resolves when all backends have no connections left. */
export async function idle(balancer: Balancer): Promise<void> {
  await until(() => balancer.backends.every(({ connections }) => connections === 0))
}

/** Records the events from here on: names, each with the backend id or the DNS name. */
export function eventsOf(balancer: Balancer): string[] {
  const seen: string[] = []
  const names = ['up', 'down', 'eject', 'uneject', 'drain', 'ready', 'add', 'remove'] as const
  for (const name of names) {
    balancer.on(name, (...[status]: BalancerEvents[typeof name]) => void seen.push(`${name} ${status.id}`))
  }
  balancer.on('resolved', (name, count) => void seen.push(`resolved ${name} ${count}`))
  balancer.on('unresolved', (name) => void seen.push(`unresolved ${name}`))
  return seen
}

/** An HTTP server that answers with its name and a session cookie, and records its requests. */
export class Named {
  readonly name: string
  port = 0
  readonly requests: { line: string; body: string }[] = []

  constructor(name: string) {
    this.name = name
  }

  static async start(name: string): Promise<Named> {
    const named = new Named(name)
    await named.listen({ port: 0, host: '127.0.0.1' })
    return named
  }

  async listen(on: net.ListenOptions): Promise<void> {
    const server = http.createServer((incoming, response) => {
      const answer = (body: Buffer) => {
        this.requests.push({ line: `${incoming.method} ${incoming.url}`, body: body.toString('latin1') })
        response.setHeader('Set-Cookie', 'session=1; Path=/')
        response.end(`I am ${this.name}`)
      }
      readAll(incoming).then(answer, () => response.destroy())
    })
    this.port = await listen(server, on)
  }
}

/** Sends a request on a new connection and returns the whole response. Throws on a reset. */
export async function ask(port: number, text = request()): Promise<string> {
  const client = await connect(port)
  client.write(text)
  const answer = await client.ended()
  client.end()
  return answer
}

/** The name of the backend that answered. */
export function nameIn(answer: string): string | undefined {
  return /I am (\w+)$/.exec(answer)?.[1]
}

/** The sticky cookie of a response, without attributes. */
export function cookieIn(answer: string): string | undefined {
  return /^Set-Cookie: (sticky=[^;\r]*)/m.exec(answer)?.[1]
}
