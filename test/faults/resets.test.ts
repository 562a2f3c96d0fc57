import { describe, expect, test } from 'vitest'
import { PHASES } from '../../src/proxy/states.ts'
import type { Peer } from '../helpers/net.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'
import { PLAYS, play } from './scenes.ts'

expectNoWarnings()

const RESET = /^(ECONNRESET|EPIPE)$/

type State = keyof typeof PLAYS

const CASES = Object.entries(PLAYS).flatMap(([state, plays]) =>
  Object.entries(plays).map(([name, scene]) => [state as State, name, scene] as const),
)

/** What a client gets when its backend is reset: an answer, what came before and then a reset, or there is no backend. */
const OUTCOMES: Record<State, string | undefined> = {
  AwaitingProxyHeader: undefined,
  AwaitingHead: undefined,
  Routing: undefined,
  Connecting: answer('502 Bad Gateway', 'CONNECT_FAILED'),
  AwaitingResponse: answer('502 Bad Gateway', 'NO_RESPONSE'),
  Modifying: 'reset',
  Tunnelling: 'reset',
  HandedOver: undefined,
  Replying: undefined,
}

/** Resolves when an end is closed. One that has been sent a FIN learns of a reset when it writes. */
async function broken(end: Peer): Promise<void> {
  while (!end.socket.closed) {
    if (end.hasEnded && end.socket.writable) end.write('?')
    await turn()
  }
}

test('there is a case for each state', () => {
  expect([...Object.keys(PLAYS), 'Closed']).toEqual(Object.keys(PHASES))
})

describe('a client that is reset leaves nothing open, and its backend hears of it', () => {
  test.each(CASES)('in %s, %s', async (state, name, scene) => {
    const { client, peer, go, connection, watch } = await play(state, scene)
    const hadEnded = peer?.hasEnded
    client.reset()
    // Of a socket that has read its end, Node hears no more until it writes.
    const isToGo = name.includes('client has ended')
    if (isToGo) go?.()
    await Promise.all([watch.until('close'), peer && broken(peer)])
    expect(connection.state).toBe('Closed')
    // What connects over TLS can only be closed, and there it may be the backend that gives up.
    if (peer && state !== 'Connecting') {
      expect(peer.error?.code).toMatch(RESET)
      expect(peer.hasEnded).toBe(hadEnded)
    }
    await turns(5)
    expect(watch.all('close')).toHaveLength(1)
  })
})

describe('a backend that is reset: its client gets an answer where there is none yet, and else is not left waiting', () => {
  test.each(CASES.filter(([state]) => OUTCOMES[state]))('in %s, %s', async (state, name, scene) => {
    const { client, peer, go, connection, watch } = await play(state, scene)
    peer!.reset()
    if (state === 'Modifying') {
      // What it has sent before still goes its way.
      await turns(5)
      expect(connection.state).toBe('Modifying')
      go!()
    }
    if (name.includes('backend has ended')) {
      expect(await client.ended()).toBe(OK)
      client.end()
    } else if (OUTCOMES[state] === 'reset') {
      await client.closed()
      expect(client.error?.code).toBe('ECONNRESET')
      expect(client.hasEnded).toBe(false)
      expect(client.text).toBe(OK)
      expect(watch.codes).toEqual(['BACKEND_RESET'])
    } else {
      expect(withoutDate(await client.ended())).toBe(OUTCOMES[state])
      client.end()
    }
    await watch.until('close')
    await client.closed()
    expect(watch.all('close')).toHaveLength(1)
  })
})

describe('both that are reset at once leave nothing open', () => {
  test.each(CASES.filter(([state]) => OUTCOMES[state]))('in %s, %s', async (state, _, scene) => {
    for (const isClientFirst of [true, false]) {
      const { client, peer, go, watch } = await play(state, scene)
      const [first, second] = isClientFirst ? [client, peer!] : [peer!, client]
      first.reset()
      second.reset()
      go?.()
      await watch.until('close')
      await turns(5)
      expect(watch.all('close')).toHaveLength(1)
    }
  })
})
