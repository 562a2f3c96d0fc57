import type { Peer } from '../types.ts'

/** No proxy: what latency there is without one. */
export const direct: Peer = {
  name: 'direct',
  kind: 'native',
  reads: 'nothing',
  note: 'no proxy: the client asks the backend',
  isBaseline: true,
  only: ['latency'],
  start: async ({ backend }) => ({ port: backend, pids: () => [], version: '', stop: async () => {} }),
}
