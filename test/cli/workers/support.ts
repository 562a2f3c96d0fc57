import { writeFileSync } from 'node:fs'
import type http from 'node:http'
import { join } from 'node:path'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Command } from '../command.ts'
import { type Got, get } from '../service/support.ts'

/** A config module that sends backends the pid, and '/held' to another backend. */
export class ConfigFile {
  readonly path = join(temporaryDirectory(), 'badass.mjs')
  readonly #held: number

  constructor(held: Backend, settings: object) {
    this.#held = held.port
    this.write(settings)
  }

  /** `code` runs first, in the primary and each worker. */
  write(settings: object, code = ''): void {
    writeFileSync(
      this.path,
      `import cluster from 'node:cluster'
      ${code}
      export default ${JSON.stringify({ listen: '127.0.0.1:0', ...settings })}
      export function lookup(head) {
        head.headers['X-Pid'] = String(process.pid)
        if (head.target === '/held') return { port: ${this.#held}, host: '127.0.0.1' }
      }`,
    )
  }
}

export interface Team {
  command: Command
  port: number
  file: ConfigFile
  /** The backend of requests for '/held'. */
  held: Backend
}

/** Starts two workers. The test's end stops them. */
export async function startTwo(settings: object, ...argv: readonly string[]): Promise<Team> {
  const held = await Backend.start()
  const file = new ConfigFile(held, settings)
  const command = Command.start('--config', file.path, '--workers', '2', ...argv)
  await command.said('badass: 2 workers serve\n')
  return { command, held, file, port: await command.port() }
}

/** The pid of the process that a request passed. */
export function pidOf({ headers }: Pick<Got, 'headers'>): number {
  return Number(headers['x-pid'])
}

type Ask = () => Promise<Got>

/** Sends requests until `isEnough` accepts the set of pids that answered. Returns one answer per pid. */
export async function untilServedBy(
  isEnough: (pids: ReadonlySet<number>) => boolean,
  to: number | http.RequestOptions | Ask,
): Promise<Got[]> {
  const ask = typeof to === 'function' ? to : () => get(to)
  const pids = new Set<number>()
  const all: Got[] = []
  while (!isEnough(pids)) {
    const got = await ask()
    all.push(got)
    pids.add(pidOf(got))
  }
  return all
}

export const byTwo = (pids: ReadonlySet<number>): boolean => pids.size === 2

export async function pidsOf(to: number | http.RequestOptions | Ask): Promise<[number, number]> {
  const all = await untilServedBy(byTwo, to)
  return [...new Set(all.map(pidOf))].sort() as [number, number]
}

interface Open {
  client: Peer
  peer: Peer
  pid: number
}

/** The answer `OK` to a request of `holdBoth`. */
export const LAST_OK = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')

/** A request that waits for its answer in each of two workers, and is the last of its connection. */
export async function holdBoth({ port, held }: Team): Promise<[Open, Open]> {
  const open = new Map<number, Open>()
  while (open.size < 2) {
    const client = await connect(port)
    client.write('GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const peer = await held.next()
    const [, pid] = /x-pid: (\d+)/i.exec(await peer.until('\r\n\r\n'))!
    if (open.has(Number(pid))) client.reset()
    else open.set(Number(pid), { client, peer, pid: Number(pid) })
  }
  return [...open.values()] as [Open, Open]
}
