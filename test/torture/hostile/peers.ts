import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { listen } from '../../helpers/net.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { FarEnd, LANES, type Lane, recordRequests } from './lanes.ts'
import type { Reading } from './reading.ts'

/** Opens lanes to a server. Each lane returns the requests that the server read. */
export type Peer = (lane: number) => Promise<Lane<Reading[]>>

/** Node's HTTP server with its defaults. */
export const nodePeer: Peer = async () => {
  const server = http.createServer()
  const end = new FarEnd<Reading>((socket, saw) => {
    const see = (request: http.IncomingMessage, body: string) =>
      saw({
        method: request.method ?? '',
        target: request.url ?? '',
        host:
          request.headers.host === undefined
            ? undefined
            : Buffer.from(request.headers.host, 'latin1').toString('latin1'),
        body,
        isWhole: request.complete,
        next: undefined,
      })
    handlers.set(socket, see)
    server.emit('connection', socket)
  })
  server.on('request', (request, response) => {
    let body = ''
    request.setEncoding('latin1')
    request.on('data', (text: string) => {
      body += text
    })
    const see = handlers.get(request.socket)!
    request.on('error', () => undefined)
    request.on('close', () => see(request, body))
    request.on('end', () => response.end())
  })
  server.on('connect', (request, socket) => {
    handlers.get(request.socket)!(request, '')
    socket.end()
  })
  return { to: { port: await listen(end.server), host: '127.0.0.1' }, take: () => end.take() }
}

const handlers = new WeakMap<net.Socket, (request: http.IncomingMessage, body: string) => void>()

interface Program {
  name: 'nginx' | 'haproxy'
  /** The arguments that print the version, and a pattern for it. */
  version: [argument: string, pattern: RegExp]
  conf(directory: string, lanes: Sockets[]): string
  args(directory: string, file: string): string[]
}

interface Sockets {
  front: string
  back: string
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

const NGINX: Program = {
  name: 'nginx',
  version: ['-v', /nginx\/(\d+\.\d+)/],
  conf: (directory, lanes) => `daemon off;
master_process off;
pid ${join(directory, 'nginx.pid')};
error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off;
  client_header_timeout 10s;
  client_body_timeout 10s;
${TEMPORARY.map((name) => `  ${name}_temp_path ${join(directory, name)};`).join('\n')}
${lanes
  .map(
    ({ front, back }) => `  server {
    listen unix:${front};
    location / {
      proxy_pass http://unix:${back}:;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_ignore_client_abort on;
    }
  }`,
  )
  .join('\n')}
}
`,
  args: (directory, file) => ['-p', directory, '-e', 'stderr', '-c', file],
}

const HAPROXY: Program = {
  name: 'haproxy',
  version: ['-v', /version (\d+\.\d+)/],
  conf: (_, lanes) => `global
  nbthread 1
  maxconn 200
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
  timeout http-request 10s
${lanes
  .map(
    ({ front, back }, i) => `frontend front${i}
  bind unix@${front}
  default_backend back${i}
backend back${i}
  server one unix@${back}
`,
  )
  .join('')}`,
  args: (_, file) => ['-db', '-f', file],
}

export const PROGRAMS = { nginx: NGINX, haproxy: HAPROXY }

/** The version of an installed program as 'major.minor'. */
export function versionOf({ name, version: [argument, pattern] }: Program): string | undefined {
  const { stdout, stderr } = spawnSync(name, [argument], { encoding: 'utf8' })
  return pattern.exec(`${stdout}${stderr}`)?.[1]
}

/** Starts the program in front of a recorder for each lane. The test's end stops it. */
export async function startProgram(program: Program): Promise<Peer> {
  const directory = temporaryDirectory()
  const lanes = Array.from({ length: LANES }, (_, i) => ({
    front: join(directory, `f${i}`),
    back: join(directory, `b${i}`),
  }))
  const ends = lanes.map(() => recordRequests())
  for (const [i, { back }] of lanes.entries()) await listen(ends[i]!.server, { path: back })
  const file = join(directory, 'conf')
  writeFileSync(file, program.conf(directory, lanes))
  const child = spawn(program.name, program.args(directory, file), { stdio: ['ignore', 'ignore', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint += text))
  while (!(await canConnect(lanes.at(-1)!.front))) {
    if (child.exitCode !== null) throw new Error(`${program.name} ended: ${complaint}`)
    await sleep(10)
  }
  return async (i) => ({ to: { path: lanes[i]!.front }, take: () => ends[i]!.take() })
}

async function canConnect(path: string): Promise<boolean> {
  const socket = net.connect(path)
  const isThere = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isThere
}
