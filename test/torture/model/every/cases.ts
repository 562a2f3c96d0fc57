import type { Case } from './campaign.ts'
import type { Setup } from './setup.ts'

const QUIET: Setup = {
  modify: null,
  errback: null,
  timeouts: {},
  pool: {},
  capacity: 65_536,
  answers: 'later',
  finale: 'clean',
}

/** Counter-examples that were fixed: the error, and the case that fast-check shrank. Add new ones here. */
export const CASES: readonly (Case & { was: string })[] = [
  {
    was: 'a connection was kept whose backend had not read the request',
    setup: { ...QUIET, capacity: 1 },
    acts: ['ask 0 flood a now', 'turn 4', 'answer 0 fit', 'pause-down 0', 'settle'],
  },
  {
    was: 'a connection was kept on which a write had failed',
    setup: QUIET,
    acts: ['ask 0 large a now', 'turn 3', 'answer 0 fit', 'reset-down 0', 'turn 1'],
  },
  {
    was: 'an idle connection kept a lent buffer',
    setup: QUIET,
    acts: ['ask 0 get a now', 'turn 3', 'answer 0 exact', 'turn 2'],
  },
  {
    was: 'a tunnel stayed open whose server had closed without reading to its end',
    setup: QUIET,
    acts: [
      ...['ask 0 upgrade server now', 'turn 1', 'answer 0 fit', 'pause-down 0'],
      ...['end 0', 'end-down 0', 'turn 2', 'reset-down 0', 'turn 1'],
    ],
  },
]
