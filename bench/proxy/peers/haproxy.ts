import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { descriptorsForConnections } from '../../common/proc.ts'
import { freePort, output, start } from '../../common/processes.ts'
import type { Peer } from '../types.ts'

interface Setup {
  mode: 'http' | 'tcp'
  /** Lines of `defaults`. */
  options?: string[]
  /** Lines of `backend`. */
  backend?: string[]
  /** What follows the server's address. */
  server?: string
}

/** Pipes for splicing. Each takes two descriptors. */
const PIPES = 64

/** haproxy does not start when its limits need more descriptors than it may open. */
function maxConnections(): number {
  return Math.min(9000, Math.floor(descriptorsForConnections() / 2) - PIPES)
}

// tune.pool-*: by default haproxy closes idle backend connections once a quarter of its descriptors is in use, which
// 3,000 clients need.
const conf = ({ mode, options = [], backend = [], server = '' }: Setup, port: number, backendPort: number) => `
global
  nbthread 1
  maxconn ${maxConnections()}
  maxpipes ${PIPES}
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
defaults
  mode ${mode}
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
${options.map((line) => `  ${line}\n`).join('')}
frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend out
backend out
${backend.map((line) => `  ${line}\n`).join('')}
  server one 127.0.0.1:${backendPort} ${server}
`

function haproxy(name: string, setup: Setup, note: string, more: Partial<Peer> = {}): Peer {
  return {
    name: `haproxy ${name}`,
    kind: 'native',
    reads: setup.mode === 'http' ? 'each request' : 'nothing',
    note,
    ...more,
    async start({ directory, backend, cpu }) {
      mkdirSync(directory, { recursive: true })
      const port = await freePort()
      const file = join(directory, 'haproxy.cfg')
      writeFileSync(file, conf(setup, port, backend))
      // -db: in the foreground.
      const program = await start(['haproxy', '-db', '-f', file], { cpu, port })
      const version = /version ([\d.]+)/.exec(await output(['haproxy', '-v']))?.[1] ?? 'unknown'
      return { ...program, port, version }
    },
  }
}

const splicing = ['option splice-request', 'option splice-response']
const spliced = ['with option splice-request and splice-response', { only: ['download', 'upload'] }] as const

export const haproxyPeers: readonly Peer[] = [
  haproxy('http', { mode: 'http' }, 'one thread, mode http with its defaults (http-reuse safe, no splicing), no logs'),
  haproxy(
    'http pooled',
    { mode: 'http', backend: ['http-reuse always'] },
    'with http-reuse always: by default the first request of a client opens a backend connection',
    { only: ['one request a connection'] },
  ),
  haproxy('tcp', { mode: 'tcp' }, 'one thread, mode tcp with its defaults (no splicing), no logs'),
  haproxy('http splicing', { mode: 'http', options: splicing }, ...spliced),
  haproxy('tcp splicing', { mode: 'tcp', options: splicing }, ...spliced),
  haproxy(
    'sticky',
    { mode: 'http', backend: ['cookie home insert indirect nocache'], server: 'cookie one' },
    'mode http, with cookie ... insert indirect nocache',
    { isSticky: true, only: ['session'] },
  ),
]
