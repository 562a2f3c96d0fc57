import { once } from 'node:events'
import http from 'node:http'
import type { Peer } from '../types.ts'

export interface Answer {
  headers: http.IncomingHttpHeaders
  body: string
}

/** Sends a GET, on a new connection unless there is an agent. @throws {Error} when the answer is not a 200 */
export async function ask(port: number, path: string, options: http.RequestOptions = {}): Promise<Answer> {
  const request = http.get({ port, host: '127.0.0.1', path, agent: false, timeout: 5000, ...options })
  request.once('timeout', () => request.destroy(new Error(`${path}: no answer in 5 s`)))
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  if (response.statusCode !== 200) throw new Error(`${path}: expected status 200, got ${response.statusCode}`)
  return { headers: response.headers, body }
}

export function expect(what: string, got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
}

/** Sends two requests on one connection. */
export async function checkKeepAlive(port: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  try {
    for (let i = 0; i < 2; i++) expect('/', (await ask(port, '/', { agent })).body, 'ok')
    expect('connections kept', Object.values(agent.freeSockets).flat().length, 1)
  } finally {
    agent.destroy()
  }
}

/** Sends one request with `Connection: close`, and expects the same in the answer. */
export async function checkClose(port: number, path = '/'): Promise<Answer> {
  const answer = await ask(port, path, { headers: { connection: 'close' } })
  expect(path, answer.body, 'ok')
  expect('Connection', answer.headers.connection, 'close')
  return answer
}

/** Checks the field that the peer adds, if any. */
export async function checkField(port: number, { sets }: Peer): Promise<void> {
  if (sets) expect(sets[0], (await ask(port, '/')).headers[sets[0]], sets[1])
}
