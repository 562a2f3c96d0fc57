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

/** A program that is given a port. Another test may have taken that one meanwhile: then it is given another. */
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

/** An nginx whose `http` block this is, until the test is over. `conf` is given a port to listen on, which is returned. */
export async function startNginx(conf: (port: number) => string): Promise<number> {
  const directory = temporaryDirectory()
  return startAt((port) => {
    mkdirSync(directory, { recursive: true })
    const file = join(directory, 'nginx.conf')
    writeFileSync(file, nginxConf(directory, { http: conf(port) }))
    return ['nginx', '-p', directory, '-e', 'stderr', '-c', file]
  })
}

/** A haproxy of this configuration, until the test is over, past a `defaults` that will do. Listens as `startNginx` does. */
export async function startHaproxy(conf: (port: number) => string): Promise<number> {
  const directory = temporaryDirectory()
  return startAt((port) => {
    const file = join(directory, 'haproxy.cfg')
    const defaults = 'defaults\n  mode http\n  timeout connect 10s\n  timeout client 1m\n  timeout server 1m\n'
    writeFileSync(file, `global\n  nbthread 1\n  maxconn 100\n${defaults}${conf(port)}`)
    return ['haproxy', '-db', '-f', file]
  })
}
