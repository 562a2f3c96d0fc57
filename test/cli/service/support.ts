import http from 'node:http'
import { onTestFinished } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { Service } from '../../../src/cli/service/service.ts'
import { connect, listen } from '../../helpers/net.ts'
import { GET } from '../../helpers/proxy.ts'
import { DEFAULTS } from '../config/support.ts'

const LOOPBACK = { port: 0, host: '127.0.0.1' }

/** A config with all defaults, on a free port of loopback. */
export function configOf(given: Partial<Config>): Config {
  const config: Config = { ...DEFAULTS, listen: [LOOPBACK], ...given }
  const isMarked = config.listen.some((address) => address.tls)
  const tls = config.tls.length > 0 && !isMarked
  return { ...config, listen: config.listen.map((address) => ({ ...address, ...(tls && { tls }) })) }
}

export const STICKY = { name: 'sticky', insert: true, indirect: true }
export const ADMIN = { listen: LOOPBACK, token: undefined }

/** Collects lines, and lets a test wait for one. */
export class Lines {
  readonly all: string[] = []
  #wake: () => void = () => undefined

  readonly add = (line: string): void => {
    this.all.push(line)
    this.#wake()
  }

  /** Resolves with the first line from index `from` on that includes the text. */
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
  /** The port of the first address. */
  port: number
  said: Lines
  logged: Lines
}

/** Starts a service. The test's end stops it. */
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

/** The answer of a backend of `startBackend`. */
interface Seen {
  id: string
  url: string
  headers: http.IncomingHttpHeaders
}

/** Starts a backend that answers with its name and the request. Returns its options. */
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

/** Sends one request on a new connection, to a backend of `startBackend`. */
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

/** Sends a request and a FIN. Returns the answer. */
export async function endWith(port: number, request = GET): Promise<string> {
  const client = await connect(port)
  client.end(request)
  return client.ended()
}
