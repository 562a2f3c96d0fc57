import { describe, expect, test, vi } from 'vitest'
import { type ConnectionState, checkMove, PHASES, StateMachine } from '../../src/proxy/states.ts'
import { Sweep } from '../../src/proxy/sweep.ts'

const LEGAL: Record<ConnectionState, ConnectionState[]> = {
  AwaitingProxyHeader: ['AwaitingHead', 'Closed'],
  AwaitingHead: ['Routing', 'Replying', 'Closed'],
  Routing: ['Connecting', 'Responding', 'HandedOver', 'Replying', 'Closed'],
  Connecting: ['Routing', 'AwaitingResponse', 'Tunnelling', 'Closed'],
  AwaitingResponse: ['Routing', 'Connecting', 'Modifying', 'Tunnelling', 'Replying', 'Closed'],
  Modifying: ['Tunnelling', 'Responding', 'Replying', 'Closed'],
  Responding: ['AwaitingHead', 'Replying', 'Closed'],
  Tunnelling: ['Closed'],
  HandedOver: ['Closed'],
  Replying: ['Closed'],
  Closed: [],
}
const STATES = Object.keys(LEGAL) as ConnectionState[]

describe('the table of moves', () => {
  test('allows these moves and refuses all others', () => {
    for (const from of STATES) {
      for (const to of STATES) {
        if (LEGAL[from].includes(to)) checkMove(from, to)
        else expect(() => checkMove(from, to)).toThrow(new Error(`a connection cannot go from ${from} to ${to}`))
      }
    }
  })

  test('every state but Closed can go to Closed, and every state has a phase', () => {
    for (const from of STATES) expect(LEGAL[from].includes('Closed')).toBe(from !== 'Closed')
    expect(Object.keys(PHASES)).toEqual(STATES)
  })
})

describe('a state machine', () => {
  test('starts in AwaitingHead, and refuses a move that is not in the table', () => {
    const machine = new StateMachine()
    expect(machine.state).toBe('AwaitingHead')
    expect(() => machine.enter('Tunnelling')).toThrow('a connection cannot go from AwaitingHead to Tunnelling')
    expect(machine.state).toBe('AwaitingHead')
    machine.enter('Closed')
    expect(() => machine.enter('Closed')).toThrow('a connection cannot go from Closed to Closed')
  })

  test('has one time-out, which the next state does away with', () => {
    vi.useFakeTimers()
    try {
      const machine = new StateMachine()
      const expired: string[] = []
      machine.arm(10, () => expired.push('first'))
      machine.arm(20, () => expired.push('second'))
      vi.advanceTimersByTime(19)
      machine.refresh()
      vi.advanceTimersByTime(19)
      expect(expired).toEqual([])
      vi.advanceTimersByTime(1)
      expect(expired).toEqual(['second'])
      machine.arm(10, () => expired.push('third'))
      machine.enter('Closed')
      machine.refresh()
      expect(vi.getTimerCount()).toBe(0)
      machine.arm(0, () => expired.push('never'))
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('ends a long time-out at most a second late, and never early', () => {
    vi.useFakeTimers()
    try {
      const machine = new StateMachine()
      for (const late of [0, 1, 250, 499]) {
        let isOver = false
        vi.advanceTimersByTime(late)
        machine.arm(60_000, () => (isOver = true))
        vi.advanceTimersByTime(59_999)
        machine.refresh()
        vi.advanceTimersByTime(59_999)
        expect(isOver).toBe(false)
        vi.advanceTimersByTime(1_001)
        expect(isOver).toBe(true)
      }
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('has no long time-out after the state that it was for, and no timer once it is closed', () => {
    vi.useFakeTimers()
    try {
      const sweep = new Sweep()
      const others = new StateMachine('AwaitingHead', sweep)
      const machine = new StateMachine('AwaitingHead', sweep)
      const expired: string[] = []
      others.arm(30_000, () => {
        expired.push('others')
        others.arm(30_000, () => expired.push('again'))
      })
      machine.arm(30_000, () => expired.push('head'))
      vi.advanceTimersByTime(29_999)
      machine.enter('Routing')
      vi.advanceTimersByTime(1_001)
      expect(expired).toEqual(['others'])
      machine.arm(10_000, () => expired.push('lookup'))
      machine.enter('Closed')
      vi.advanceTimersByTime(28_000)
      expect(expired).toEqual(['others'])
      vi.advanceTimersByTime(3_000)
      expect(expired).toEqual(['others', 'again'])
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
