import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { basename, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { readExample } from '../../scripts/docs.js'
import { listen } from '../helpers/net.ts'
import { certificate } from '../helpers/tls.ts'

export const root = join(import.meta.dirname, '..', '..')

/** A running example with its port and output. */
interface Running {
  port: number
  /** Resolves with the output so far once it includes the text. */
  printed(text: string): Promise<string>
  /** Resolves with its exit code and whole output. */
  exited(): Promise<{ code: number | null; output: string }>
  kill(signal: NodeJS.Signals): void
}

/**
 * A folder inside the package, so that a file in it can import the package by name. Not in dist/, which another test packs
 * at the same time.
 */
export function folder(): string {
  mkdirSync(join(root, 'tmp'), { recursive: true })
  const path = mkdtempSync(join(root, 'tmp', 'example-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The text of an example with each key of `replace` replaced by its value. */
export function replaced(name: string, replace: Record<string, string>): string {
  const code = readExample(name)
  const keys = Object.keys(replace)
  for (const from of keys) expect(code).toContain(from)
  if (keys.length === 0) return code
  // In one pass: a port may contain the digits of another key.
  const any = keys.map((key) => key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')
  return code.replace(new RegExp(any, 'g'), (from) => replace[from]!)
}

/** Starts an example with the built package, in a separate folder with a certificate. */
export async function start(name: string, replace: Record<string, string> = {}, listens = true): Promise<Running> {
  const directory = folder()
  const file = join(directory, basename(name).replace(/\.js$/, '.mjs'))
  writeFileSync(file, replaced(name, replace))
  const { key, cert } = certificate()
  writeFileSync(join(directory, 'key.pem'), key)
  writeFileSync(join(directory, 'cert.pem'), cert)

  const preload = join(root, 'test', 'helpers', 'listen-anywhere.mjs')
  const child = fork(file, { cwd: directory, execArgv: ['--import', preload], silent: true })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
  const exit = once(child, 'close') as Promise<[number | null]>
  const port = listens
    ? await Promise.race([once(child, 'message').then(([at]) => at as number), exit.then(() => 0)])
    : 0
  if (listens) expect(port, output).toBeGreaterThan(0)
  return {
    port,
    printed: async (text) => {
      while (!output.includes(text)) await Promise.race([once(child.stdout!, 'data'), once(child.stderr!, 'data')])
      return output
    },
    exited: async () => ({ code: (await exit)[0], output }),
    kill: (signal) => child.kill(signal),
  }
}

/** Starts a backend that answers with its name and the request. Returns its port. */
export async function backend(name: string, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
  const server = http.createServer((request, response) => {
    response.writeHead(200, headers)
    response.end(JSON.stringify({ name, url: request.url, headers: request.headers }))
  })
  return String(await listen(server))
}

interface Answer {
  status: number
  headers: Headers
  body: { name: string; url: string; headers: Record<string, string> }
}

/** Sends a request on a new connection, so that the request passes the hooks. */
export async function get(port: number, path = '/', headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...headers, connection: 'close' } })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

/** The response to a GET, with its whole body. */
export async function ask(
  options: http.RequestOptions,
): Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }> {
  const request = http.get({ host: '127.0.0.1', agent: false, ...options })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const text = Buffer.concat(await response.toArray()).toString()
  return { status: response.statusCode!, headers: response.headers, text }
}

/** The request as the backend received it. */
export async function seen(options: http.RequestOptions): Promise<Answer['body']> {
  return JSON.parse((await ask(options)).text)
}

/** The request as the backend received it after a PROXY header. */
export async function getAfter(
  header: string,
  port: number,
  secured: (socket: net.Socket) => net.Socket = (socket) => socket,
): Promise<Answer['body']> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(header)
  const over = secured(socket)
  over.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let answer = ''
  for await (const chunk of over) answer += chunk
  return JSON.parse(/\{.*\}/.exec(answer)![0])
}
