import type { Result } from '../common/results.ts'

const WORKLOAD = 'keep-alive'
/** How many times cheaper than the best npm proxy badass must be, in each mode. */
const GOALS = [
  { peer: 'badass', times: 2 },
  { peer: 'badass every', times: 1.43 },
] as const

export interface Verdict {
  isMet: boolean
  text: string
}

/**
 * Compares badass with the cheapest npm package that parses every request, on each Node. A ratio within one run does not
 * depend on the machine. The best round of each counts: other work on the machine only adds to the cost. A package that failed might have been the cheapest, so the gate is not met then.
 */
export function judge(results: readonly Result[]): Verdict {
  const all = results.filter(({ workload }) => workload === WORKLOAD)
  const nodes = new Set(all.flatMap(({ peer, node }) => (peer === 'badass' && node ? [node] : [])))
  if (nodes.size === 0) return { isMet: false, text: `gate: badass has no result in '${WORKLOAD}'` }
  const verdicts = [...nodes].flatMap((node) => judgeOn(all.filter((result) => result.node === node)))
  return { isMet: verdicts.every(({ isMet }) => isMet), text: verdicts.map(({ text }) => text).join('\n') }
}

function judgeOn(all: readonly Result[]): Verdict[] {
  return GOALS.flatMap(({ peer, times }) => {
    const ours = all.find((result) => result.peer === peer)
    return ours ? [judgeOne(ours, times, all)] : []
  })
}

function judgeOne(ours: Result, times: number, all: readonly Result[]): Verdict {
  const verdict = (isMet: boolean, text: string) => ({
    isMet,
    text: `gate ${isMet ? 'met' : 'NOT MET'} on Node ${ours.node}: ${text}`,
  })
  const rivals = all.filter(({ kind, reads }) => kind === 'npm' && reads === 'each request')
  const broken = [ours, ...rivals].filter(({ cost }) => !cost)
  if (broken.length > 0) return verdict(false, broken.map(({ peer, failed }) => `${peer} failed: ${failed}`).join('; '))
  const [best] = rivals.sort((a, b) => a.cost!.min - b.cost!.min)
  if (!best) return verdict(false, `no package that parses HTTP has a result in '${WORKLOAD}'`)
  const ratio = best.cost!.min / ours.cost!.min
  const [one, other] = [ours, best].map(({ peer, cost }) => `${peer} ${cost!.min.toFixed(1)}`)
  return verdict(
    ratio >= times,
    `${one}, ${other} ${ours.unit}: ${ratio.toFixed(1)} times as cheap, at least ${times} expected`,
  )
}
