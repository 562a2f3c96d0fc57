import type { Head } from '../../index.ts'

/** Removes the fields whose name matches. */
export function deleteFields(head: Head, pattern: RegExp): void {
  for (const [name] of [...head]) if (pattern.test(name)) head.delete(name)
}
