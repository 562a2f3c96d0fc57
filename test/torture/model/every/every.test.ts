import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { BodyScanner } from '../../../../src/parser/index.ts'
import { BackendConnection } from '../../../../src/proxy/backend-connection.ts'
import { Exchange } from '../../../../src/proxy/exchange.ts'
import { Exchanges } from '../../../../src/proxy/exchanges.ts'
import { Pool } from '../../../../src/proxy/pool.ts'
import { Reporter } from '../../../../src/proxy/reporter.ts'
import { RequestSender } from '../../../../src/proxy/request-sender.ts'
import { StateMachine } from '../../../../src/proxy/states.ts'
import { BackendSocket } from '../../../../src/proxy/tunnel/index.ts'
import { Upload } from '../../../../src/proxy/upload.ts'
import { Port } from '../wire.ts'
import { Campaign } from './campaign.ts'
import { CASES } from './cases.ts'
import { SHARED } from './network.ts'

const FAKES = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] as const

beforeAll(() => void vi.useFakeTimers({ toFake: [...FAKES] }))
afterAll(() => void vi.useRealTimers())

const HOUR = 3_600_000

test("connections with requests: 'every' keep their invariants under random commands", { timeout: HOUR }, async () => {
  const campaign = new Campaign()
  await campaign.run(800)
  campaign.expectReached()
})

for (const { was, ...found } of CASES) test(`fixed: ${was}`, () => new Campaign().replay(found))

describe('finds a planted bug:', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    vi.clearAllTimers()
  })

  const { arm } = StateMachine.prototype
  const { write } = Port.prototype
  const { take } = Pool.prototype
  const { push } = BodyScanner.prototype
  const { destroy } = BackendConnection.prototype
  const FAULTS: [fault: string, plant: () => unknown, found: RegExp][] = [
    [
      'a byte is lost',
      () =>
        vi.spyOn(Port.prototype, 'write').mockImplementation(function (this: Port, bytes, done) {
          write.call(this, bytes.length > 1_000 ? bytes.subarray(1) : bytes, done)
        }),
      /another head than|is not the one that was sent|is another/,
    ],
    [
      'a body takes a byte of the next request',
      () =>
        vi.spyOn(BodyScanner.prototype, 'push').mockImplementation(function (this: BodyScanner, bytes, pieces) {
          const count = push.call(this, bytes, pieces)
          return this.state === 'end' && count < bytes.length ? count + 1 : count
        }),
      /another head than|lookup saw a request that nobody sent|BAD_HEAD without a reason/,
    ],
    [
      'a timer is forgotten',
      () =>
        vi.spyOn(StateMachine.prototype, 'arm').mockImplementation(function (this: StateMachine, ms, expired) {
          arm.call(this, ms, expired)
          setTimeout(() => undefined, HOUR)
        }),
      /timers: expected \d+ to be/,
    ],
    [
      "a client's FIN does not go on",
      () => vi.spyOn(RequestSender.prototype, 'passEnd').mockReturnValue(),
      /a backend was not told of its client's end/,
    ],
    [
      'the pool keeps a connection that it gives away',
      () =>
        vi.spyOn(Pool.prototype, 'take').mockImplementation(function (this: Pool, key, wanted) {
          const connection = take.call(this, key, wanted)
          if (connection) this.put(connection)
          return connection
        }),
      /an idle connection has a user|was not answered/,
    ],
    [
      'the pool mixes two backends',
      () =>
        vi.spyOn(Pool.prototype, 'take').mockImplementation(function (this: Pool, key, wanted) {
          return take.call(this, key, wanted) ?? SHARED.map((one) => take.call(this, one)).find((one) => one)
        }),
      /was sent to/,
    ],
    [
      'every request may be sent twice',
      () => vi.spyOn(Exchanges.prototype, 'isReplayable', 'get').mockReturnValue(true),
      /came twice/,
    ],
    [
      'every backend connection is kept',
      () => vi.spyOn(Exchange.prototype, 'isBackendReusable', 'get').mockReturnValue(true),
      /an idle connection has|a connection is idle before|came after unasked|after an upgrade/,
    ],
    [
      'an unusable connection stays open',
      () =>
        vi.spyOn(BackendConnection.prototype, 'destroy').mockImplementation(function (this: BackendConnection) {
          if (this.requests === 0) destroy.call(this)
        }),
      /\d backend connections, \d idle/,
    ],
    [
      'an exchange leaves its listeners',
      () => vi.spyOn(Upload.prototype, 'stop').mockReturnValue(),
      /an idle connection has listeners for/,
    ],
    [
      'an exchange keeps a lent buffer',
      () =>
        vi.spyOn(BackendConnection.prototype, 'lends').mockImplementation(function (this: BackendConnection, isLent) {
          if (isLent && this.stream instanceof BackendSocket) this.stream.borrower = this
        }),
      /an idle connection keeps a lent buffer/,
    ],
    ['a retry is not counted', () => vi.spyOn(Reporter.prototype, 'retried').mockReturnValue(), /0 were counted/],
  ]
  for (const [fault, plant, found] of FAULTS) {
    test(fault, async () => {
      plant()
      expect(await new Campaign().find(1_000)).toMatch(found)
    })
  }
})
