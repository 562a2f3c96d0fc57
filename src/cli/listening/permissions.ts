import { chmodSync, chownSync } from 'node:fs'
import { type Address, addressText } from '../config/index.ts'

/** Sets the mode and the group of the socket file, if they are given. @throws {Error} with a one-line message */
export function setPermissions(address: Address, path = 'path' in address ? address.path : ''): void {
  if (!('path' in address)) return
  const { mode, group } = address
  try {
    // Node leaves the user alone if it is -1.
    if (group !== undefined) chownSync(path, -1, group)
    if (mode !== undefined) chmodSync(path, mode)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'EPERM' ? 'permission denied' : message
    throw new Error(`cannot set the mode or the group of ${addressText(address)}: ${reason}`)
  }
}

/**
 * Gives the socket files that a reload keeps the permissions of the new config: `wanted[i]` is at `addresses[i]`. Returns
 * what takes that back. @throws {Error} with a one-line message; then nothing has changed
 */
export function changePermissions(wanted: readonly { address: Address }[], addresses: readonly Address[]): () => void {
  const former: [one: { address: Address }, address: Address][] = []
  const undo = () => {
    for (const [one, address] of former) {
      one.address = address
      // What was allowed once is allowed now, unless the file has gone.
      tryTo(() => setPermissions(address))
    }
  }
  try {
    for (const [i, one] of wanted.entries()) {
      const address = addresses[i]!
      if (!('path' in address) || one.address === address) continue
      former.push([one, one.address])
      one.address = address
      setPermissions(address)
    }
  } catch (error) {
    undo()
    throw error
  }
  return undo
}

function tryTo(act: () => void): void {
  try {
    act()
  } catch {
    // The caller reports another error, or the end of the reload.
  }
}
