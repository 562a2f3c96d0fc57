import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startAdmin } from './support.ts'

const MEGABYTE = 1 << 20

test('cuts the oldest answers if clients do not read 64 MB of them', async () => {
  const { port, ask, server } = await startAdmin({ version: 'x'.repeat(25 * MEGABYTE) })
  const open = async () => {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const client = net
      .connect(port, '127.0.0.1')
      .pause()
      .on('error', () => undefined)
    onTestFinished(() => void client.destroy())
    client.write('GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [[socket]] = await Promise.all([accepted, once(client, 'readable')])
    return socket
  }
  const first = await open()
  const second = await open()
  expect(first.destroyed).toBe(false)
  const third = await open()
  expect([first, second, third].map(({ destroyed }) => destroyed)).toEqual([true, false, false])
  // Answers that were read do not count.
  for (let i = 0; i < 3; i++) expect((await ask({ path: '/api/setup' })).status).toBe(200)
  expect([second, third].map(({ destroyed }) => destroyed)).toEqual([false, false])
})
