import type { SrvRecord } from 'node:dns'
import { hostPort } from '../../proxy/index.ts'

/** One backend that a name of the DNS stands for. */
export interface Found {
  id: string
  /** An address. */
  host: string
  port: number
  weight?: number
  backup?: boolean
}

/** The most backends that one name is taken to stand for. */
const MOST = 1000

/** The backends of a host, in the order of their ids. */
export function hostBackends(addresses: readonly string[], port: number): Found[] {
  return limited(addresses.toSorted().map((host) => ({ id: hostPort(host, port), host, port })))
}

/** The records that name a backend, the ones to prefer first: not those of RFC 2782's '.', which says that there is none. */
export function usableRecords(records: readonly SrvRecord[]): SrvRecord[] {
  return records
    .filter(({ name, port }) => name !== '' && name !== '.' && port > 0)
    .map((record) => ({ ...record, name: record.name.toLowerCase() }))
    .sort((a, b) => a.priority - b.priority || compare(a.name, b.name) || a.port - b.port || b.weight - a.weight)
    .slice(0, MOST)
}

/**
 * The backends of a service, in the order of their ids, by the addresses of each target. A target with one address
 * keeps its id when the address changes. What is not of the first priority is a backup.
 */
export function serviceBackends(
  records: readonly SrvRecord[],
  addressesOf: (target: string) => readonly string[],
): Found[] {
  const first = records[0]?.priority
  return limited(
    records.flatMap(({ name, port, priority, weight }) => {
      const addresses = addressesOf(name).toSorted()
      return addresses.map((host) => ({
        id: addresses.length === 1 ? `${name}:${port}` : `${name}:${port}/${host}`,
        host,
        port,
        // RFC 2782: a weight of 0 still gets a little.
        weight: Math.max(1, weight),
        backup: priority !== first,
      }))
    }),
  )
}

/** Of several with one id, the first counts. They come in an order that is the same on every machine. */
function limited(backends: Found[]): Found[] {
  const byId = new Map<string, Found>()
  for (const one of backends) if (!byId.has(one.id)) byId.set(one.id, one)
  return [...byId.values()].slice(0, MOST).sort((a, b) => compare(a.id, b.id))
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
