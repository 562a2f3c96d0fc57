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

/** Each takes two descriptors; only some are ever spliced at a time. */
const PIPES = 64

/** haproxy does not start where its limits ask for more descriptors than it may have. */
function maxConnections(): number {
  return Math.min(9000, Math.floor(descriptorsForConnections() / 2) - PIPES)
}

// The pool's ratios: with 3000 clients haproxy would use a quarter of its descriptors, and close idle connections to the
// backend instead of keeping them.
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

const startHaproxy =
  (setup: Setup): Peer['start'] =>
  async ({ directory, backend, cpu }) => {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const file = join(directory, 'haproxy.cfg')
    writeFileSync(file, conf(setup, port, backend))
    // -db: in the foreground.
    const { firstLine: _, ...program } = await start(['haproxy', '-db', '-f', file], { cpu, port })
    const version = /version ([\d.]+)/.exec(await output(['haproxy', '-v']))?.[1] ?? 'unknown'
    return { ...program, port, version }
  }

const splicing = ['option splice-request', 'option splice-response']

export const haproxyPeers: readonly Peer[] = [
  {
    name: 'haproxy http',
    kind: 'native',
    reads: 'each request',
    note: 'one thread, mode http and its defaults (http-reuse safe, no splicing), no logs',
    start: startHaproxy({ mode: 'http' }),
  },
  {
    name: 'haproxy http pooled',
    kind: 'native',
    reads: 'each request',
    note: 'with http-reuse always: by default the first request of a client has a connection of its own to the backend',
    only: ['one request a connection'],
    start: startHaproxy({ mode: 'http', backend: ['http-reuse always'] }),
  },
  {
    name: 'haproxy tcp',
    kind: 'native',
    reads: 'nothing',
    note: 'one thread, mode tcp and its defaults (no splicing), no logs',
    start: startHaproxy({ mode: 'tcp' }),
  },
  {
    name: 'haproxy http splicing',
    kind: 'native',
    reads: 'each request',
    note: 'with option splice-request and splice-response: bodies stay in the kernel',
    only: ['download', 'upload'],
    start: startHaproxy({ mode: 'http', options: splicing }),
  },
  {
    name: 'haproxy tcp splicing',
    kind: 'native',
    reads: 'nothing',
    note: 'with option splice-request and splice-response: bytes stay in the kernel',
    only: ['download', 'upload'],
    start: startHaproxy({ mode: 'tcp', options: splicing }),
  },
  {
    name: 'haproxy sticky',
    kind: 'native',
    reads: 'each request',
    note: 'mode http with a cookie of its own on each response (cookie ... insert indirect nocache)',
    isSticky: true,
    only: ['session'],
    start: startHaproxy({ mode: 'http', backend: ['cookie home insert indirect nocache'], server: 'cookie one' }),
  },
]
