import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { descriptorsForConnections } from '../../common/proc.ts'
import { freePort, output, start } from '../../common/processes.ts'
import type { Peer } from '../types.ts'

/** More than all clients and pools have open at a time. */
const MOST_CONNECTIONS = 65_536
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** An nginx.conf with one worker, no logs, and no file outside of its folder. */
export function nginxConf(directory: string, { http = '', more = '' }: { http?: string; more?: string }): string {
  // The workers of a root process would run as a user who cannot read the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const paths = TEMPORARY.map((name) => `  ${name}_temp_path ${join(directory, name)};`).join('\n')
  return `daemon off;
${user}
worker_processes 1;
pid ${join(directory, 'nginx.pid')};
error_log stderr error;
events { worker_connections ${Math.min(descriptorsForConnections(), MOST_CONNECTIONS)}; }
${http && `http {\n  access_log off;\n${paths}\n${http}}\n`}${more}`
}

/** Starts an nginx with this configuration, which listens on `port`. */
export async function startNginx(directory: string, conf: string, port: number, cpu?: number) {
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, conf)
  // -e: where to log before the configuration is read.
  const command = ['nginx', '-p', directory, '-e', 'stderr', '-c', file]
  const program = await start(command, { port, ...(cpu !== undefined && { cpu }) })
  const version = /nginx\/([\d.]+)/.exec(await output(['nginx', '-v']))?.[1] ?? 'unknown'
  return { ...program, port, version }
}

const httpProxy = (backend: number, port: number) => `
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream backend {
    server 127.0.0.1:${backend};
    keepalive 4096;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_read_timeout 1h;
    location / { proxy_pass http://backend; }
  }
`

const streamProxy = (backend: number, port: number) => `
stream {
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_pass 127.0.0.1:${backend};
    proxy_timeout 1h;
  }
}
`

/** The line that loads the stream module, unless it is built in. */
async function loadStream(): Promise<string> {
  const built = await output(['nginx', '-V'])
  if (/--with-stream(\s|$)/.test(built)) return ''
  const file = join(/--modules-path=(\S+)/.exec(built)?.[1] ?? '', 'ngx_stream_module.so')
  if (!existsSync(file)) throw new Error('nginx has no stream module (Debian: libnginx-mod-stream)')
  return `load_module ${file};\n`
}

export const nginxPeers: readonly Peer[] = [
  {
    name: 'nginx http',
    kind: 'native',
    reads: 'each request',
    note: 'one worker, upstream keep-alive pool, no logs, no buffering of bodies in files',
    async start({ directory, backend, cpu }) {
      const port = await freePort()
      return startNginx(directory, nginxConf(directory, { http: httpProxy(backend, port) }), port, cpu)
    },
  },
  {
    name: 'nginx stream',
    kind: 'native',
    reads: 'nothing',
    note: 'one worker, proxy_pass of TCP, no logs',
    async start({ directory, backend, cpu }) {
      const port = await freePort()
      const conf = (await loadStream()) + nginxConf(directory, { more: streamProxy(backend, port) })
      return startNginx(directory, conf, port, cpu)
    },
  },
]
