import type { Result } from '../report/results.ts'

const WORKLOAD = 'keep-alive'
const TIMES = 2

/** What the gate has to say. */
export interface Verdict {
  isMet: boolean
  text: string
}

/**
 * Holds badass against the cheapest package that parses HTTP, on each Node: a ratio within one run, no absolute figure.
 * A package that failed might have been the cheapest, so that does not pass.
 */
export function judge(results: readonly Result[]): Verdict {
  const all = results.filter(({ workload }) => workload === WORKLOAD)
  const nodes = new Set(all.flatMap(({ peer, node }) => (peer === 'badass' && node ? [node] : [])))
  const verdicts = [...nodes].map((node) =>
    judgeOn(
      node,
      all.filter((result) => result.node === node),
    ),
  )
  if (verdicts.length === 0) return { isMet: false, text: `gate: badass has no figure of '${WORKLOAD}'` }
  return { isMet: verdicts.every(({ isMet }) => isMet), text: verdicts.map(({ text }) => text).join('\n') }
}

function judgeOn(node: string, all: readonly Result[]): Verdict {
  const miss = (text: string) => ({ isMet: false, text: `gate NOT MET on Node ${node}: ${text}` })
  const ours = all.find(({ peer }) => peer === 'badass')!
  const rivals = all.filter(({ kind, reads }) => kind === 'npm' && reads === 'each request')
  const broken = [ours, ...rivals].filter(({ cost }) => !cost)
  if (broken.length > 0) return miss(broken.map(({ peer, failed }) => `${peer} failed: ${failed}`).join('; '))
  const [best] = rivals.sort((a, b) => a.cost!.median - b.cost!.median)
  if (!best) return miss(`no package that parses HTTP has a figure of '${WORKLOAD}'`)
  const ratio = best.cost!.median / ours.cost!.median
  const isMet = ratio >= TIMES
  const show = ({ peer, cost }: Result) => `${peer} ${cost!.median.toFixed(1)}`
  const text =
    `${show(ours)}, ${show(best)} ${ours.unit}: ` + `${ratio.toFixed(1)} times as cheap (at least ${TIMES} wanted)`
  return isMet ? { isMet, text: `gate met on Node ${node}: ${text}` } : miss(text)
}
