import { expect, test, vi } from 'vitest'
import { Sweep } from '../../src/proxy/sweep.ts'

test('a check by a timer that was cleared does nothing, and a later one is made by a new timer', () => {
  const checks: (() => void)[] = []
  const spy = vi.spyOn(globalThis, 'setTimeout').mockImplementation((check) => {
    checks.push(check as () => void)
    return { refresh: () => undefined } as unknown as NodeJS.Timeout
  })
  try {
    const sweep = new Sweep()
    const one = { check: vi.fn(() => true) }
    sweep.add(one)
    sweep.delete(one)
    checks[0]!()
    expect(one.check).not.toHaveBeenCalled()
    sweep.add(one)
    checks[1]!()
    expect(one.check).toHaveBeenCalledOnce()
  } finally {
    spy.mockRestore()
  }
})
