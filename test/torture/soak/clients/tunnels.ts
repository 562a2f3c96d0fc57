import { once } from 'node:events'
import { WebSocket } from 'ws'
import { Answers } from '../answers.ts'
import { BrokenOff, Refused } from '../judge.ts'
import { eventOf, Mismatch, pieceOf, Verifier } from '../pattern.ts'
import type { Client, Visit } from '../visit.ts'
import { isBreak } from '../wire.ts'
import { head } from './requests.ts'

/** Opens a WebSocket over a connection of the visit. Calls `failed` with each error. */
function openWebSocket(visit: Visit, failed: (error: Error) => void): WebSocket {
  const socket = visit.socket()
  const tunnel = new WebSocket(`ws://soak.test:${visit.scene.port}/socket`, { createConnection: () => socket })
  tunnel.on('upgrade', ({ headers }) => {
    visit.backend = String(headers['x-backend'])
  })
  tunnel.on('unexpected-response', (_request, { statusCode }) => failed(new Refused(statusCode ?? 0)))
  tunnel.on('error', (error: NodeJS.ErrnoException) => {
    // 'socket hang up' is ECONNRESET too. Protocol errors that ws finds have codes of their own.
    failed(isBreak(error) ? new BrokenOff(error.code) : error)
  })
  tunnel.on('close', (code) => failed(new BrokenOff(`closed with ${code}`)))
  return tunnel
}

/** Sends messages and gets each one back, in order. */
export const webSocket: Client = {
  name: 'WebSocket',
  count: 10,
  async run(visit) {
    const { random } = visit
    let fail: (error: Error) => void = () => undefined
    const failure = new Promise<never>((_, reject) => {
      fail = reject
    })
    failure.catch(() => undefined)
    const tunnel = openWebSocket(visit, fail)
    const expected: { seed: number; length: number }[] = []
    let landed: () => void = () => undefined
    tunnel.on('message', (data: Buffer) => {
      try {
        const message = expected.shift()
        if (!message) throw new Mismatch('a message that was not sent')
        const verifier = new Verifier(message.seed, message.length)
        verifier.push(data)
        verifier.end()
        visit.did('complete')
        if (expected.length === 0) landed()
      } catch (error) {
        fail(error as Error)
      }
    })
    await Promise.race([once(tunnel, 'open'), failure])
    for (let left = random.between(1, 40); left > 0 && !visit.isOver; left--) {
      const back = new Promise<void>((resolve) => {
        landed = resolve
      })
      for (let i = random.between(1, 4); i > 0; i--) {
        const message = { seed: random.between(0, 999_999), length: random.size(1, 65_536) }
        expected.push(message)
        tunnel.send(pieceOf(message.seed, 0, message.length))
      }
      await Promise.race([back, failure])
      await visit.pause(150)
    }
    tunnel.removeAllListeners('close')
    const closed = once(tunnel, 'close')
    tunnel.close()
    await Promise.race([closed, failure])
  },
}

/** Reads server-sent events and checks each. */
export const events: Client = {
  name: 'events',
  count: 10,
  async run(visit) {
    const { random } = visit
    const seed = random.between(0, 999_999)
    const count = random.between(5, 40)
    const wire = visit.wire()
    const answers = new Answers(wire)
    await wire.write(head('GET', `/events?seed=${seed}&count=${count}&pace=${random.between(1, 100)}`))
    const answer = await answers.ok()
    visit.identify(answer)
    let pending = Buffer.alloc(0)
    let number = 0
    for await (const chunk of answers.body(answer)) {
      pending = Buffer.concat([pending, chunk])
      for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
        if (number === count || !pending.subarray(0, end + 2).equals(eventOf(seed, number))) {
          throw new Mismatch(`event ${number} of ${count} is wrong`)
        }
        number++
        pending = pending.subarray(end + 2)
      }
    }
    if (number < count || pending.length > 0) throw new Mismatch(`complete after ${number} events of ${count}`)
    answers.noMore()
    visit.did('complete')
  },
}
