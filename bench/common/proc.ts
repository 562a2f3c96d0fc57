import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What processes have used and may use, as Linux tells it (proc(5)). */

/** Linux tells user space in hundredths of a second, whatever the kernel counts by. */
const TICKS_PER_SECOND = 100

/** The fields of /proc/PID/stat from the third on: the second, the name, may have blanks and brackets. */
function statOf(pid: number | string): string[] {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return line.slice(line.lastIndexOf(')') + 2).split(' ')
}

/** User and system, in seconds. */
function secondsIn(fields: readonly string[], user: number): number {
  return (Number(fields[user]) + Number(fields[user + 1])) / TICKS_PER_SECOND
}

/** The CPU time of a process, in seconds. */
export function cpuOf(pid: number): number {
  return secondsIn(statOf(pid), 11)
}

/** The CPU time of the processes that this one started and that have ended, in seconds. */
export function endedCpu(): number {
  return secondsIn(statOf('self'), 13)
}

/** The processes of a process group. */
export function groupOf(leader: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => Number(ifThere(() => statOf(pid)[2])) === leader).map(Number)
}

/** What a process has in memory, in bytes. */
export function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
}

/** How many sockets a process has open. */
export function socketsOf(pid: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => ifThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`)))
  return links.filter((link) => link?.startsWith('socket:')).length
}

/** What a program has open besides connections, and more. */
const OTHER_DESCRIPTORS = 200

/** How many descriptors each process that starts here has for connections. */
export function descriptorsForConnections(): number {
  const limit = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return Math.max(0, (limit === 'unlimited' ? Infinity : Number(limit)) - OTHER_DESCRIPTORS)
}

/** The cores that this process may use. */
export function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** Undefined where the process has ended, or is not ours to look at. */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
