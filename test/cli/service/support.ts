import http from 'node:http'
import { onTestFinished } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { Service } from '../../../src/cli/service/service.ts'
import { connect, listen } from '../../helpers/net.ts'
import { GET } from '../../helpers/proxy.ts'

const LOOPBACK = { port: 0, host: '127.0.0.1' }

/** A config with every default in its place, on a free port of loopback. */
export function configOf(given: Partial<Config>): Config {
  return {
    listen: [LOOPBACK],
    workers: 1,
    backends: [],
    algorithm: 'round-robin',
    key: 'client',
    failover: 'redispatch',
    health: undefined,
    sticky: undefined,
    secret: undefined,
    everyRequest: false,
    forwarded: false,
    trust: [],
    tls: [],
    admin: undefined,
    log: 'none',
    grace: 30_000,
    limits: {},
    hooks: {},
    ...given,
  }
}

export const STICKY = { name: 'sticky', insert: true, indirect: true }
export const ADMIN = { listen: LOOPBACK, token: undefined }

/** Lines that somebody writes, to be waited for. */
export class Lines {
  readonly all: string[] = []
  #wake: () => void = () => undefined

  readonly add = (line: string): void => {
    this.all.push(line)
    this.#wake()
  }

  /** Resolves with the first line, of those from `from` on, that includes the text. */
  async until(text: string, from = 0): Promise<string> {
    for (;;) {
      const line = this.all.slice(from).find((one) => one.includes(text))
      if (line !== undefined) return line
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async untilCount(count: number): Promise<string[]> {
    while (this.all.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.all
  }
}

export interface Started {
  service: Service
  /** Of the first address. */
  port: number
  said: Lines
  logged: Lines
}

/** Starts a service, until the test is over. */
export async function startService(given: Partial<Config>): Promise<Started> {
  const said = new Lines()
  const logged = new Lines()
  const service = await Service.start(configOf(given), { say: said.add, log: logged.add })
  onTestFinished(() => service.stop())
  const [first = ''] = service.addresses
  return { service, port: first.startsWith('http') ? portOf(first) : 0, said, logged }
}

export function portOf(url: string | undefined): number {
  return Number(new URL(url!).port)
}

/** What a backend of `startBackend` answers. */
interface Seen {
  id: string
  url: string
  headers: http.IncomingHttpHeaders
}

/** A backend that tells its name and what it was asked, until the test is over. Returns its options. */
export async function startBackend(id = 'a'): Promise<{ id: string; port: number }> {
  const server = http.createServer((request, response) => {
    const seen: Seen = { id, url: request.url!, headers: request.headers }
    response.writeHead(200, { Connection: 'close' }).end(JSON.stringify(seen))
  })
  return { id, port: await listen(server) }
}

export interface Got extends Seen {
  status: number
  cookies: string[]
}

/** One request on a connection of its own, to a backend of `startBackend`. */
export async function get(
  to: number | http.RequestOptions,
  headers: http.OutgoingHttpHeaders = {},
  create: (options: http.RequestOptions) => http.ClientRequest = http.request,
): Promise<Got> {
  const target = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    create({ ...target, agent: false, headers })
      .on('response', resolve)
      .on('error', reject)
      .end()
  })
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  const status = response.statusCode!
  const cookies = response.headers['set-cookie'] ?? []
  const seen = (status === 200 ? JSON.parse(text) : { id: '', url: '', headers: {} }) as Seen
  return { status, cookies, ...seen }
}

/** Sends a request and ends with it, so that nobody waits for the other; returns the answer. */
export async function endWith(port: number, request = GET): Promise<string> {
  const client = await connect(port)
  client.end(request)
  return client.ended()
}
