import { readFileSync } from 'node:fs'

/** The id of a group, from its number or its name in /etc/group. Undefined if there is no such group. */
export function groupId(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  if (/^\d{1,10}$/.test(value)) return Number(value)
  // group(5): name:password:gid:members
  const lines = groups().map((line) => line.split(':'))
  const [, , id] = lines.find(([name]) => name === value) ?? []
  return id === undefined ? undefined : Number(id)
}

function groups(): string[] {
  try {
    return readFileSync('/etc/group', 'utf8').split('\n')
  } catch {
    return [] // not Unix
  }
}
