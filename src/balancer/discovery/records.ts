import type { SrvRecord } from 'node:dns'
import { hostPort } from '../../proxy/index.ts'

/** A backend that a DNS name resolves to. */
export interface Discovered {
  id: string
  /** An IP address. */
  host: string
  port: number
  weight?: number
  backup?: boolean
}

/** Most backends of one name. */
const MOST = 1000

/** The backends of a host, sorted by id. */
export function hostBackends(addresses: readonly string[], port: number): Discovered[] {
  return limited(addresses.toSorted().map((host) => ({ id: hostPort(host, port), host, port })))
}

/** The usable SRV records, highest priority first. A target of `.` means that there is no service (RFC 2782). */
export function usableRecords(records: readonly SrvRecord[]): SrvRecord[] {
  return records
    .filter(({ name, port }) => name !== '' && name !== '.' && port > 0)
    .map((record) => ({ ...record, name: record.name.toLowerCase() }))
    .sort((a, b) => a.priority - b.priority || compare(a.name, b.name) || a.port - b.port || b.weight - a.weight)
    .slice(0, MOST)
}

/**
 * The backends of a service, sorted by id. A target with a single address keeps its id when the address changes.
 * Records below the highest priority become backups.
 */
export function serviceBackends(
  records: readonly SrvRecord[],
  addressesOf: (target: string) => readonly string[],
): Discovered[] {
  const first = records[0]?.priority
  return limited(
    records.flatMap(({ name, port, priority, weight }) => {
      const addresses = addressesOf(name).toSorted()
      return addresses.map((host) => ({
        id: addresses.length === 1 ? `${name}:${port}` : `${name}:${port}/${host}`,
        host,
        port,
        // RFC 2782: a weight of 0 still gets a small share.
        weight: Math.max(1, weight),
        backup: priority !== first,
      }))
    }),
  )
}

/** Drops duplicate ids and extra backends. The order is the same on every machine. */
function limited(backends: Discovered[]): Discovered[] {
  const byId = new Map<string, Discovered>()
  for (const one of backends) if (!byId.has(one.id)) byId.set(one.id, one)
  return [...byId.values()].slice(0, MOST).sort((a, b) => compare(a.id, b.id))
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
