import { expect, test } from 'vitest'
import { startBackend } from '../../cli/service/support.ts'
import { LAST_OK, startTwo } from '../../cli/workers/support.ts'
import { connect, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, OK } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'

expectNoWarnings()

const CONNECTIONS = 60

interface Open {
  client: Peer
  peer: Peer
  pid: number
}

test('kill -9 of a worker loses its connections, and no others', async () => {
  const { command, port, held } = await startTwo({ backends: [await startBackend()] })
  const open: Open[] = []
  while (open.length < CONNECTIONS || new Set(open.map(({ pid }) => pid)).size < 2) {
    const client = await connect(port)
    client.write('GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const peer = await held.next()
    const [, pid] = /x-pid: (\d+)/i.exec(await peer.until('\r\n\r\n'))!
    peer.write(OK.slice(0, -1))
    await client.until('\r\n\r\no')
    open.push({ client, peer, pid: Number(pid) })
  }
  const killed = open[0]!.pid
  process.kill(killed, 'SIGKILL')
  const lost = open.filter(({ pid }) => pid === killed)
  const kept = open.filter(({ pid }) => pid !== killed)
  // The kernel resets both sides of them, so nobody hangs.
  await Promise.all(lost.flatMap(({ client, peer }) => [client, peer]).map((end) => end.ended().catch(() => undefined)))
  await command.said('was killed by SIGKILL')
  for (const { client, peer } of kept) {
    expect([client.hasEnded, client.socket.closed]).toEqual([false, false])
    peer.end(OK.slice(-1))
    expect(await client.ended()).toBe(LAST_OK)
  }
  for (const { client } of lost) expect(client.text).not.toBe(LAST_OK)
  report(
    'kill -9 of one worker of two',
    `its ${lost.length} connections lost; the other's ${kept.length} answered whole`,
  )
})
