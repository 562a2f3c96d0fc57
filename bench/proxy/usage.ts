import { readFileSync } from 'node:fs'
import { cpuOf, ifThere, residentOf } from '../common/proc.ts'

/**
 * The CPU time of processes (user and system, in seconds) and their resident memory (bytes).
 * @throws {Error} where there are none: what has ended used nothing, which would pass for cheap
 */
export function usageOf(pids: readonly number[]): { cpu: number; memory: number } {
  if (pids.length === 0) throw new Error('the proxy has ended')
  let cpu = 0
  let memory = 0
  for (const pid of pids) {
    cpu += cpuOf(pid)
    memory += memoryOf(pid)
  }
  return { cpu, memory }
}

function memoryOf(pid: number): number {
  const rollup = ifThere(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
  return rollup ? Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) * 1024 : residentOf(pid)
}
