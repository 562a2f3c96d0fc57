import { describe, expect, test } from 'vitest'
import { PHASES } from '../../../src/proxy/states.ts'
import type { Peer } from '../../helpers/net.ts'
import { answer, expectNoWarnings, OK, withoutDate } from '../../helpers/proxy.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { PART, PLAYS, play } from './scenes.ts'

expectNoWarnings()

const RESET = /^(ECONNRESET|EPIPE)$/

type State = keyof typeof PLAYS

const CASES = Object.entries(PLAYS).flatMap(([state, plays]) =>
  Object.entries(plays).map(([name, scene]) => [state as State, name, scene] as const),
)

/** What a client gets when its backend is reset: an answer, or the bytes so far and a reset. */
const OUTCOMES: Record<State, string | undefined> = {
  AwaitingProxyHeader: undefined,
  AwaitingHead: undefined,
  Routing: undefined,
  Connecting: answer('502 Bad Gateway', 'CONNECT_FAILED'),
  AwaitingResponse: answer('502 Bad Gateway', 'NO_RESPONSE'),
  Modifying: 'reset',
  Responding: 'reset',
  Tunnelling: 'reset',
  HandedOver: undefined,
  Replying: undefined,
}

/** Resolves when an end is closed. After a FIN, an end notices a reset only when it writes. */
async function broken(end: Peer): Promise<void> {
  while (!end.socket.closed) {
    if (end.hasEnded && end.socket.writable) end.write('?')
    await turn()
  }
}

test('every state has a case', () => {
  expect([...Object.keys(PLAYS), 'Closed']).toEqual(Object.keys(PHASES))
})

describe('a client that resets leaves nothing open, and its backend is closed', () => {
  test.each(CASES)('in %s, %s', async (state, name, scene) => {
    const { client, peer, go, connection, watch } = await play(state, scene)
    const hadEnded = peer?.hasEnded
    client.reset()
    // After the end of a socket, Node notices a reset only when it writes.
    const isToGo = name.includes('client has ended')
    if (isToGo) go?.()
    await Promise.all([watch.until('close'), peer && broken(peer)])
    expect(connection.state).toBe('Closed')
    // A TLS handshake can only be closed, and the backend may do that first.
    if (peer && state !== 'Connecting') {
      expect(peer.error?.code).toMatch(RESET)
      expect(peer.hasEnded).toBe(hadEnded)
    }
    await turns(5)
    expect(watch.all('close')).toHaveLength(1)
  })
})

describe('a backend that resets gives the client an answer if it had none, and never leaves it waiting', () => {
  test.each(CASES.filter(([state]) => OUTCOMES[state]))('in %s, %s', async (state, name, scene) => {
    const { client, peer, go, connection, watch } = await play(state, scene)
    peer!.reset()
    if (state === 'Modifying') {
      // Bytes that it sent before still arrive.
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
      expect(client.text).toBe(state === 'Responding' ? PART : OK)
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

describe('both sides that reset at once leave nothing open', () => {
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
