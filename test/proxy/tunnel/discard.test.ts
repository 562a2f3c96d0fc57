import { Duplex } from 'node:stream'
import { expect, onTestFinished, test, vi } from 'vitest'
import { handler } from '../../../src/index.ts'
import { GET } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'

test('slows down a client that keeps sending after an answer of the engine', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const piece = Buffer.alloc(1 << 22, GET)
  const pieces = [Buffer.from(GET)]
  let read = 0
  let answer = ''
  const client = new Duplex({
    highWaterMark: 1,
    read() {
      read++
      setImmediate(() => client.push(pieces.pop() ?? piece))
    },
    write(chunk, _encoding, done) {
      answer += chunk
      done()
    },
  })
  handler(() => undefined as never)(client)
  for (let round = 1; round <= 10; round++) {
    await turns(20)
    // The first 16 MiB are dropped at once.
    expect(read).toBeLessThanOrEqual(7 + 2 * round)
    expect(client.destroyed).toBe(false)
    vi.advanceTimersByTime(10)
  }
  expect(answer).toContain('HTTP/1.1 503 ')
  vi.advanceTimersByTime(5_000)
  expect(client.destroyed).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})
