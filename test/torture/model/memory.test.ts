import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { StateMachine } from '../../../src/proxy/states.ts'
import { Flow } from '../../../src/proxy/tunnel/flow.ts'
import { Campaign } from './campaign.ts'
import { CASES } from './cases.ts'
import { MemoryNetwork } from './memory.ts'
import { MemorySocket, Port } from './wire.ts'

beforeAll(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }))
afterAll(() => void vi.useRealTimers())

const TIMES = [10, 50, 1_000]
const HOUR = 3_600_000

function start(): Campaign {
  return new Campaign('in memory', ({ capacity }) => new MemoryNetwork(capacity))
}

test('a connection in memory keeps its invariants under random commands', {
  timeout: HOUR,
}, async () => {
  const campaign = start()
  await campaign.run(6_000, TIMES)
  campaign.expectReached()
})

for (const { was, network, ...found } of CASES.filter(({ network }) => network === 'memory')) {
  test(`fixed: ${was}`, () => start().replay(found))
}

describe('finds a planted bug:', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    vi.clearAllTimers()
  })

  const { write } = Port.prototype
  const { arm } = StateMachine.prototype
  const FAULTS: [fault: string, plant: () => unknown, found: RegExp][] = [
    [
      'a byte is lost',
      () =>
        vi.spyOn(Port.prototype, 'write').mockImplementation(function (this: Port, bytes, done) {
          write.call(this, bytes.length > 1_000 ? bytes.subarray(1) : bytes, done)
        }),
      /is not the one that was sent|BAD_RESPONSE_HEAD without a reason/,
    ],
    [
      'a timer is forgotten',
      () =>
        vi.spyOn(StateMachine.prototype, 'arm').mockImplementation(function (this: StateMachine, ms, expired) {
          arm.call(this, ms, expired)
          setTimeout(() => undefined, HOUR)
        }),
      /left: \d+ timers/,
    ],
    ['a listener is left', () => vi.spyOn(Flow.prototype, 'stop').mockReturnValue(), /\d listeners for/],
    [
      'a reset is reported as an end',
      () =>
        vi.spyOn(MemorySocket.prototype, 'resetAndDestroy').mockImplementation(function (this: MemorySocket) {
          return this.destroy()
        }),
      /an end (after|before|that nobody said)/,
    ],
    [
      'a connection is not closed',
      () => vi.spyOn(MemorySocket.prototype, 'destroy').mockReturnThis(),
      /a socket is left open|does not close|told of no end/,
    ],
  ]
  for (const [fault, plant, found] of FAULTS) {
    test(fault, async () => {
      plant()
      expect(await start().find(500, TIMES)).toMatch(found)
    })
  }
})
