import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, output, start } from '../../common/processes.ts'
import type { Peer } from '../types.ts'

// The pool has room for a connection for each client: by default it keeps 32 to a backend.
const caddyfile = (port: number, backend: number) => `{
  admin off
  auto_https off
  log {
    output discard
  }
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${backend} {
    transport http {
      keepalive 1h
      keepalive_idle_conns_per_host 65536
    }
  }
}
`

export const caddy: Peer = {
  name: 'caddy',
  kind: 'native',
  reads: 'each request',
  note: 'reverse_proxy, GOMAXPROCS=1, upstream keep-alive pool, no logs, no admin',
  async start({ directory, backend, cpu }) {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const file = join(directory, 'Caddyfile')
    writeFileSync(file, caddyfile(port, backend))
    const environment = [
      'GOMAXPROCS=1',
      `HOME=${directory}`,
      `XDG_CONFIG_HOME=${directory}`,
      `XDG_DATA_HOME=${directory}`,
    ]
    const program = await start(['env', ...environment, 'caddy', 'run', '--config', file], { cpu, port })
    const version = /[\d.]+/.exec(await output(['caddy', 'version']))?.[0] ?? 'unknown'
    return { ...program, port, version }
  },
}
