import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { freePort, start } from '../../bench/common/processes.ts'
import { nginxConf } from '../../bench/proxy/peers/nginx.ts'
import { temporaryDirectory } from './temporary.ts'

/** Whether this machine has the program. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['-v']).error === undefined
}

/** Starts a program with a port. If another test has taken that port meanwhile, the program gets another one. */
async function startAt(commandFor: (port: number) => string[]): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      const program = await start(commandFor(port), { port })
      onTestFinished(() => program.stop())
      return port
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
}

/** Starts an nginx with this `http` block until the end of the test. `conf` gets its port, which is also returned. */
export async function startNginx(conf: (port: number) => string): Promise<number> {
  const directory = temporaryDirectory()
  return startAt((port) => {
    mkdirSync(directory, { recursive: true })
    const file = join(directory, 'nginx.conf')
    writeFileSync(file, nginxConf(directory, { http: conf(port) }))
    return ['nginx', '-p', directory, '-e', 'stderr', '-c', file]
  })
}

// Without `timeout check`, a check has to end within its interval.
const DEFAULTS = `defaults
  mode http
  timeout connect 10s
  timeout check 10s
  timeout client 1m
  timeout server 1m
`

/** Starts a haproxy with this configuration after common `defaults`. Lifetime and port are those of `startNginx`. */
export async function startHaproxy(conf: (port: number) => string): Promise<number> {
  const directory = temporaryDirectory()
  return startAt((port) => {
    const file = join(directory, 'haproxy.cfg')
    writeFileSync(file, `global\n  nbthread 1\n  maxconn 100\n${DEFAULTS}${conf(port)}`)
    return ['haproxy', '-db', '-f', file]
  })
}

/** Starts an apache2 before a backend at `to` until the end of the test. It keeps its connections. Returns its port. */
export async function startApache(to: number): Promise<number> {
  const directory = temporaryDirectory()
  const modules = ['mpm_event', 'authz_core', 'proxy', 'proxy_http']
  return startAt((port) => {
    const file = join(directory, 'apache.conf')
    const lines = [
      ...modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
      `DefaultRuntimeDir ${directory}`,
      `PidFile ${join(directory, 'apache.pid')}`,
      // If root starts it, the server has to run as another user.
      ...(process.getuid?.() === 0 ? ['User nobody', 'Group nogroup'] : []),
      'ServerName localhost',
      'ErrorLog /dev/null',
      `Listen 127.0.0.1:${port}`,
      'StartServers 1',
      'MaxKeepAliveRequests 0',
      'ProxyPreserveHost On',
      `ProxyPass / http://127.0.0.1:${to}/`,
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return ['apache2', '-DFOREGROUND', '-d', directory, '-f', file]
  })
}

/** The same with lighttpd. */
export async function startLighttpd(to: number): Promise<number> {
  const directory = temporaryDirectory()
  return startAt((port) => {
    const file = join(directory, 'lighttpd.conf')
    const lines = [
      'server.modules = ("mod_proxy")',
      `server.document-root = "${directory}"`,
      'server.bind = "127.0.0.1"',
      `server.port = ${port}`,
      'server.errorlog = "/dev/null"',
      `proxy.server = ("" => (("host" => "127.0.0.1", "port" => ${to})))`,
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return ['lighttpd', '-D', '-f', file]
  })
}

/** Starts a Prometheus that scrapes this address each second, until the end of the test. Returns its URL. */
export async function startPrometheus(target: string): Promise<string> {
  const directory = temporaryDirectory()
  const file = join(directory, 'prometheus.yml')
  const scrapes = [{ job_name: 'badass', static_configs: [{ targets: [target] }] }]
  writeFileSync(file, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: scrapes }))
  const data = `--storage.tsdb.path=${join(directory, 'data')}`
  let log = ''
  const program = await start(['prometheus', `--config.file=${file}`, data, '--web.listen-address=127.0.0.1:0'], {
    ready: /(Server is ready)/,
    complained: (text) => {
      log += text
    },
  })
  onTestFinished(() => program.stop())
  const [, address] = /msg="Listening on" address=(\S+)/.exec(log)!
  return `http://${address}/`
}
