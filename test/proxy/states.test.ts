import { describe, expect, test, vi } from 'vitest'
import { type ConnectionState, checkMove, Life, PHASES } from '../../src/proxy/states.ts'

const LEGAL: Record<ConnectionState, ConnectionState[]> = {
  AwaitingProxyHeader: ['AwaitingHead', 'Closed'],
  AwaitingHead: ['Routing', 'Replying', 'Closed'],
  Routing: ['Connecting', 'HandedOver', 'Replying', 'Closed'],
  Connecting: ['Routing', 'AwaitingResponse', 'Tunnelling', 'Closed'],
  AwaitingResponse: ['Modifying', 'Tunnelling', 'Replying', 'Closed'],
  Modifying: ['Tunnelling', 'Replying', 'Closed'],
  Tunnelling: ['Closed'],
  HandedOver: ['Closed'],
  Replying: ['Closed'],
  Closed: [],
}
const STATES = Object.keys(LEGAL) as ConnectionState[]

describe('the table of moves', () => {
  for (const from of STATES) {
    for (const to of STATES) {
      const isLegal = LEGAL[from].includes(to)
      test(`${from} to ${to} is ${isLegal ? 'legal' : 'refused'}`, () => {
        if (isLegal) checkMove(from, to)
        else expect(() => checkMove(from, to)).toThrow(new Error(`a connection cannot go from ${from} to ${to}`))
      })
    }
  }

  test('every state but Closed can go to Closed, and every state has a phase', () => {
    for (const from of STATES) expect(LEGAL[from].includes('Closed')).toBe(from !== 'Closed')
    expect(Object.keys(PHASES)).toEqual(STATES)
  })
})

describe('a life', () => {
  test('starts in AwaitingHead, and refuses a move that is not in the table', () => {
    const life = new Life()
    expect(life.state).toBe('AwaitingHead')
    expect(() => life.enter('Tunnelling')).toThrow('a connection cannot go from AwaitingHead to Tunnelling')
    expect(life.state).toBe('AwaitingHead')
    life.enter('Closed')
    expect(() => life.enter('Closed')).toThrow('a connection cannot go from Closed to Closed')
  })

  test('has one time-out, which the next state does away with', () => {
    vi.useFakeTimers()
    try {
      const life = new Life()
      const expired: string[] = []
      life.arm(10, () => expired.push('first'))
      life.arm(20, () => expired.push('second'))
      vi.advanceTimersByTime(19)
      life.refresh()
      vi.advanceTimersByTime(19)
      expect(expired).toEqual([])
      vi.advanceTimersByTime(1)
      expect(expired).toEqual(['second'])
      life.arm(10, () => expired.push('third'))
      life.enter('Closed')
      life.refresh()
      expect(vi.getTimerCount()).toBe(0)
      life.arm(0, () => expired.push('never'))
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
