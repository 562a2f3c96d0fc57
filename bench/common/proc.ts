import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

// CPU time, memory and descriptors of processes, from Linux's /proc (proc(5)).

/** The kernel reports times in hundredths of a second. */
const TICKS_PER_SECOND = 100
/** Descriptors that a program may need besides those of its connections. */
const OTHER_DESCRIPTORS = 200

/** The fields of /proc/PID/stat from the third on. The second, the name, can contain blanks and brackets. */
function statOf(pid: number | string): string[] {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return line.slice(line.lastIndexOf(')') + 2).split(' ')
}

/** CPU time (user and system, in seconds) and proportional memory (bytes) of some processes together. */
export interface Usage {
  cpu: number
  memory: number
}

/** @throws {Error} without processes: a proxy that has ended must not pass for a cheap one */
export function usageOf(pids: readonly number[]): Usage {
  if (pids.length === 0) throw new Error('the proxy has ended')
  let [ticks, memory] = [0, 0]
  for (const pid of pids) {
    const fields = statOf(pid)
    ticks += Number(fields[11]) + Number(fields[12])
    const rollup = ifThere(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    memory += rollup ? Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) * 1024 : residentOf(pid)
  }
  return { cpu: ticks / TICKS_PER_SECOND, memory }
}

/** The processes of a process group. */
export function groupOf(leader: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => Number(ifThere(() => statOf(pid)[2])) === leader).map(Number)
}

/** Whether a process of the group listens on the port, at whatever address. */
export function groupListens(leader: number, port: number): boolean {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listenersIn(`/proc/net/${table}`, port)))
  return groupOf(leader).some((pid) => linksOf(pid).some((link) => inodes.has(link)))
}

/** As /proc/PID/fd names them. */
function listenersIn(table: string, port: number): string[] {
  const rows = (ifThere(() => readFileSync(table, 'latin1')) ?? '').split('\n').map((row) => row.trim().split(/\s+/))
  // The local address ends with the port. 0A: listening.
  const isListener = ([, local = '', , state]: string[]) =>
    state === '0A' && Number.parseInt(local.split(':')[1]!, 16) === port
  return rows.filter(isListener).map((row) => `socket:[${row[9]}]`)
}

/** What the descriptors of a process lead to. */
function linksOf(pid: number): string[] {
  const fds = ifThere(() => readdirSync(`/proc/${pid}/fd`)) ?? []
  return fds.map((fd) => ifThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '')
}

/** Resident memory in bytes. */
export function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
}

/** The number of open sockets of a process. */
export function socketsOf(pid: number): number {
  return linksOf(pid).filter((link) => link.startsWith('socket:')).length
}

/** How many descriptors a program started here can use for connections. */
export function descriptorsForConnections(): number {
  const limit = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return Math.max(0, (limit === 'unlimited' ? Infinity : Number(limit)) - OTHER_DESCRIPTORS)
}

/** The CPU cores that this process may use. */
export function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** Undefined when the process has ended or may not be read. */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
