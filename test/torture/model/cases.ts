import type { Case } from './campaign.ts'
import type { Setup } from './setup.ts'

const QUIET: Setup = {
  request: 'get',
  response: 'plain',
  http2: 'pass',
  lookup: 'now dest',
  modify: null,
  errback: null,
  dests: [],
  timeouts: { headTimeout: 0, connectTimeout: 0, responseHeadTimeout: 0, idleTimeout: 0, halfCloseTimeout: 0 },
  opening: 'none',
  destroyIn: null,
  capacity: 65_536,
  finale: 'clean',
}

/** Counter-examples that were fixed: the error, and the case that fast-check shrank. Add new ones here. */
export const CASES: readonly (Case & { network: 'memory' | 'sockets'; was: string })[] = [
  {
    was: "errback's Readable left its listeners on the client",
    network: 'memory',
    setup: { ...QUIET, lookup: 'now nothing', errback: ['now readable'] },
    acts: ['client send 2000', 'turn 1'],
  },
  {
    was: 'a reset of a backend with its last bytes was treated as an end',
    network: 'sockets',
    setup: QUIET,
    acts: ['client send 27', 'turn 2', 'backend send 1', 'backend reset', 'turn 1'],
  },
  {
    was: 'a reset of a client with its last bytes was treated as an end',
    network: 'sockets',
    setup: { ...QUIET, opening: 'exchange' },
    acts: ['client send 1', 'client reset', 'turn 1'],
  },
  {
    was: 'the model waited for a client while badass slowly dropped its bytes after 16 MiB',
    network: 'memory',
    setup: { ...QUIET, lookup: 'now nothing' },
    acts: ['client send 8216016', 'client send 8561200'],
  },
]
