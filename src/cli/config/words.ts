import { inspect } from 'node:util'

/** A value as a mistake names it: on one line and short. What is no text or number is named by its kind. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return 'an object'
  return inspect(value, { maxStringLength: 100 })
}

/** 'a, b or c' */
export function either(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** What is said of a name that is not known: the known one that it is close to, else `otherwise`. */
export function unknownName(name: string, known: readonly string[], otherwise = `takes ${either(known)}`): string {
  const near = nearest(name, known)
  return `is no option; ${near === undefined ? otherwise : `did you mean ${near}?`}`
}

/** Of the known names the closest, where it is close enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '')
  const most = Math.min(3, Math.floor(plain(name).length / 3))
  let best: string | undefined
  let least = most + 1
  // No known name is as long as that: the distance costs the product of both lengths.
  if (name.length > 40) return undefined
  for (const candidate of known) {
    const distance = editDistance(plain(name), plain(candidate))
    if (distance >= least) continue
    best = candidate
    least = distance
  }
  return best
}

/** Insertions, deletions, replacements, and swaps of neighbours between two texts (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      row[j] = Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + (isSame ? 0 : 1))
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = above
    above = row
  }
  return above[to.length]!
}
