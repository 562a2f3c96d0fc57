import { test } from 'vitest'
import { deadPort } from '../../helpers/net.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { Campaign } from './campaign.ts'
import { CASES } from './cases.ts'
import { SocketNetwork } from './sockets.ts'

const HOUR = 3_600_000

async function start(): Promise<Campaign> {
  const directory = temporaryDirectory()
  const port = await deadPort()
  return new Campaign('over sockets', () => new SocketNetwork(directory, port))
}

test('a connection over sockets keeps its invariants under random commands', {
  timeout: HOUR,
}, async () => {
  const campaign = await start()
  await campaign.run(1_500, [2, 15])
})

for (const { was, network, ...found } of CASES.filter(({ network }) => network === 'sockets')) {
  test(`fixed: ${was}`, async () => {
    const campaign = await start()
    // The kernel decides the order, so try several times.
    for (let i = 0; i < 10; i++) await campaign.replay(found)
  })
}
