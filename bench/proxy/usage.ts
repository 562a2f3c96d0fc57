import { readdirSync, readFileSync } from 'node:fs'

/** Linux tells user space in hundredths of a second, whatever the kernel counts by. */
const TICKS_PER_SECOND = 100

/** The fields of /proc/PID/stat from the third on (proc(5)): the second, the name, may have blanks and brackets. */
function stat(pid: number | string): string[] {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return line.slice(line.lastIndexOf(')') + 2).split(' ')
}

/** The processes of a process group. */
export function groupOf(leader: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => Number(ifThere(() => stat(pid)[2])) === leader).map(Number)
}

/**
 * The CPU time of processes (user and system, in seconds) and their resident memory (bytes).
 * @throws {Error} where there are none: what has ended used nothing, which would pass for cheap
 */
export function usageOf(pids: readonly number[]): { cpu: number; memory: number } {
  if (pids.length === 0) throw new Error('the proxy has ended')
  let cpu = 0
  let memory = 0
  for (const pid of pids) {
    const fields = stat(pid)
    cpu += (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    memory += memoryOf(pid)
  }
  return { cpu, memory }
}

function memoryOf(pid: number): number {
  const rollup = ifThere(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
  const kilobytes = rollup
    ? /^Pss:\s+(\d+)/m.exec(rollup)
    : /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(kilobytes?.[1] ?? 0) * 1024
}

/** Undefined where the process has ended, or is not ours to look at. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
