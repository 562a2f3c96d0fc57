import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, start } from '../../common/processes.ts'
import { nginxConf, startNginx } from '../peers/nginx.ts'
import type { Workload } from '../types.ts'

export interface Backend {
  port: number
  stop(): Promise<void>
}

/** The size of /big, in bytes. */
export const BIG = 100 * 2 ** 20

/** Serves /, /name/ANY (the path), /big, /session (sets a cookie) and /requests (the number of requests so far). */
async function nginx(directory: string): Promise<Backend> {
  const port = await freePort()
  mkdirSync(directory, { recursive: true })
  const big = join(directory, 'big')
  writeFileSync(big, '')
  truncateSync(big, BIG)
  const http = `
  sendfile on;
  tcp_nopush on;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    root ${directory};
    location = / { return 200 'ok'; }
    location /name/ { return 200 $uri; }
    location = /big { }
    location = /session { add_header Set-Cookie 'session=0123456789abcdef; Path=/; HttpOnly'; return 200 'ok'; }
    location = /requests { stub_status; }
  }
`
  return startNginx(directory, nginxConf(directory, { http }), port)
}

/** A script beside this one. */
async function script(name: string): Promise<Backend> {
  const file = fileURLToPath(new URL(`${name}.js`, import.meta.url))
  const { firstLine, stop } = await start([process.execPath, file], {})
  return { port: Number(firstLine), stop }
}

/** Starts the server behind the proxies. */
export function startBackend(kind: Workload['backend'], directory: string): Promise<Backend> {
  return kind === 'nginx' ? nginx(join(directory, kind)) : script(kind)
}
