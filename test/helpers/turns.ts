import { setImmediate as turn } from 'node:timers/promises'

/** Resolves a turn of the event loop later, when what was due has run. */
export { turn }

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}
