import { setImmediate as turn } from 'node:timers/promises'

/** Resolves one turn of the event loop later, after all due callbacks. */
export { turn }

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}
