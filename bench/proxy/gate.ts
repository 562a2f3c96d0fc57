import type { Result } from '../report/results.ts'

const WORKLOAD = 'keep-alive'
const TIMES = 2

/** What the gate has to say. */
export interface Verdict {
  isMet: boolean
  text: string
}

/** Holds badass against the cheapest package that parses HTTP, on each Node: a ratio within one run, no absolute figure. */
export function judge(results: readonly Result[]): Verdict {
  const costs = results.filter(({ workload, cost }) => workload === WORKLOAD && cost)
  const nodes = new Set(costs.flatMap(({ peer, node }) => (peer === 'badass' && node ? [node] : [])))
  const verdicts = [...nodes].map((node) => judgeOn(costs.filter((result) => result.node === node)))
  if (verdicts.length === 0) return { isMet: false, text: `gate: badass has no figure of '${WORKLOAD}'` }
  return { isMet: verdicts.every(({ isMet }) => isMet), text: verdicts.map(({ text }) => text).join('\n') }
}

function judgeOn(costs: readonly Result[]): Verdict {
  const ours = costs.find(({ peer }) => peer === 'badass')!
  const [best] = costs
    .filter(({ kind, reads }) => kind === 'npm' && reads === 'each request')
    .sort((a, b) => a.cost!.median - b.cost!.median)
  if (!best) return { isMet: false, text: `gate: no package that parses HTTP has a figure of '${WORKLOAD}'` }
  const ratio = best.cost!.median / ours.cost!.median
  const isMet = ratio >= TIMES
  const show = ({ peer, cost }: Result) => `${peer} ${cost!.median.toFixed(1)}`
  return {
    isMet,
    text:
      `gate ${isMet ? 'met' : 'NOT MET'} on Node ${ours.node}: ${show(ours)}, ${show(best)} ${ours.unit}: ` +
      `${ratio.toFixed(1)} times as cheap (at least ${TIMES} wanted)`,
  }
}
