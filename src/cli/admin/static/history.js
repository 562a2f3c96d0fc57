// The last five minutes, as the server sampled them.

export const SPAN_S = 300
/** Rates in the table are the mean of so many samples, so that they do not flicker. */
const MEAN_OF = 3

const own = (tree, name) => (tree && Object.hasOwn(tree, name) ? tree[name] : undefined)
const gap = (length) => Array(length).fill(null)

/** Joins two trees of arrays: `n` values, then `m` values, without the first `drop`. A branch that is missing is a gap. */
function join(before, after, n, m, drop) {
  if (Array.isArray(before ?? after)) return [...(before ?? gap(n)), ...(after ?? gap(m))].slice(drop)
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  return Object.fromEntries([...names].map((name) => [name, join(own(before, name), own(after, name), n, m, drop)]))
}

/** `known` with the later samples of an answer of /api/history. Without `known`, or if time was set back, the answer. */
export function extend(known, { interval: _, ...answer }) {
  const [first] = answer.times
  const last = known?.times.at(-1)
  if (last === undefined || first <= last) return answer
  if (first === undefined) return known
  const from = answer.times.at(-1) - SPAN_S * 1000
  const kept = known.times.filter((time) => time >= from).length
  return join(known, answer, known.times.length, answer.times.length, known.times.length - kept)
}

/** Drops what has had no sample for five minutes. */
export function forget(branch) {
  return Object.fromEntries(Object.entries(branch).filter(([, { open }]) => open.some((value) => value !== null)))
}

export function seriesOf(branch, name) {
  return own(branch, name)
}

/** The mean of the last few values. Null if there is none. */
export function recent(list = []) {
  const values = list.slice(-MEAN_OF).filter((value) => value !== null)
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null
}

/** The last value, unless it is older than a few samples. */
export function latest(list = []) {
  return list.slice(-MEAN_OF).findLast((value) => value !== null) ?? null
}

/** Fetches the past of everything, or of one backend, and later what is new. */
export class History {
  past
  #query

  /** `backend`: its id. Without it, everything. */
  constructor(backend) {
    this.#query = backend === undefined ? '' : `&backend=${encodeURIComponent(backend)}`
  }

  /** Resolves with whether there are new samples. @throws if badass does not answer */
  async load() {
    const since = this.past?.times.at(-1) ?? 0
    const response = await fetch(`api/history?since=${since}${this.#query}`, { signal: AbortSignal.timeout(4_000) })
    if (!response.ok) throw new Error(`badass answered ${response.status}`)
    const past = extend(this.past, await response.json())
    if (past === this.past) return false
    for (const branch of ['pools', 'backends']) if (past[branch]) past[branch] = forget(past[branch])
    this.past = past
    return true
  }
}
