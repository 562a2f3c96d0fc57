import { type Address, addressText } from '../config/index.ts'

/** An open listener. */
export interface Listener {
  readonly url: string
  readonly isTls: boolean
}

/** A prepared change. Every step that may fail has been done. */
export interface Change {
  /** Puts the new state in force, and closes the old. */
  commit(): void
  /** Closes what was opened. */
  abort(): void
}

/**
 * Keeps the open listeners whose address is wanted, and opens the other addresses. Returns the wanted ones in order, and
 * the surplus. `text` is an address as `addressText` writes it.
 */
export async function keepOrOpen<T extends { readonly text: string }>(
  open: readonly T[],
  addresses: readonly Address[],
  openAt: (address: Address, text: string) => Promise<T>,
): Promise<{ wanted: T[]; left: T[] }> {
  const left = [...open]
  const wanted: T[] = []
  for (const address of addresses) {
    const text = addressText(address)
    const at = left.findIndex((one) => one.text === text)
    wanted.push(at >= 0 ? left.splice(at, 1)[0]! : await openAt(address, text))
  }
  return { wanted, left }
}
