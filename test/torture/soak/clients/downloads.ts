import { Answers } from '../answers.ts'
import type { Client } from '../visit.ts'
import { ask, get, MIB, someBody, take } from './requests.ts'

export const keepAlive: Client = {
  name: 'keep-alive',
  count: 10,
  async run(visit) {
    const { random } = visit
    const wire = visit.wire()
    const answers = new Answers(wire)
    for (let left = random.between(1, 30); left > 0 && !visit.isOver; left--) {
      // Sometimes pipelined: the answers come in the order of the requests.
      const bodies = Array.from({ length: random.chance(0.2) ? 4 : 1 }, () => someBody(random, 10, 65_536))
      await wire.write(bodies.map((body) => get(body)).join(''))
      for (const body of bodies) {
        await take(visit, answers, body)
        visit.did('complete')
      }
      answers.noMore()
      await visit.pause(100)
    }
  },
}

export const oneRequest: Client = {
  name: 'one request',
  count: 6,
  async run(visit) {
    await ask(visit, someBody(visit.random, 10, 65_536))
  },
}

export const download: Client = {
  name: 'download',
  count: 3,
  async run(visit) {
    await ask(visit, someBody(visit.random, MIB, 8 * MIB))
  },
}

export const slowReader: Client = {
  name: 'slow reader',
  count: 6,
  async run(visit) {
    await ask(visit, someBody(visit.random, MIB / 4, 4 * MIB), [], () => visit.pause(60))
  },
}
