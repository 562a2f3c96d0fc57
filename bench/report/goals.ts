import type { Result, Results } from './results.ts'
import { format, nodesOf } from './rows.ts'

/** At most so many times what the peer takes; of 'npm', the cheapest that reads each request. Without a peer: so many KB. */
interface Goal {
  workload: string
  most: number
  peer?: string
}

/** A cost at the end of a curve is at most so many times what it is at its beginning. */
interface FlatGoal {
  workload: string
  from: number
  to: number
  most: number
}

const NPM = 'npm'
/** What it is like for others. */
const FLAT_PEER = 'haproxy http'

/** What the project has set itself. */
const GOALS: readonly (Goal | FlatGoal)[] = [
  { workload: 'keep-alive', most: 1, peer: 'haproxy http' },
  { workload: 'keep-alive', most: 1.1, peer: 'nginx http' },
  { workload: 'keep-alive', most: 0.2, peer: NPM },
  { workload: 'one request a connection', most: 2, peer: 'haproxy tcp' },
  { workload: 'one request a connection', most: 0.5, peer: NPM },
  { workload: 'pipelined', most: 0.5, peer: 'haproxy http' },
  { workload: 'download', most: 0.5, peer: 'haproxy http' },
  { workload: 'download', most: 1.2, peer: 'haproxy http splicing' },
  { workload: 'download', most: 0.25, peer: 'nginx http' },
  { workload: 'upload', most: 1, peer: 'haproxy http' },
  { workload: 'websocket 64 B', most: 1.3, peer: 'haproxy tcp' },
  { workload: 'websocket 16 KiB', most: 1.3, peer: 'haproxy tcp' },
  { workload: 'idle tunnels', most: 10 },
  { workload: 'scale', from: 10, to: 3000, most: 1.25 },
  { workload: 'open', from: 0, to: 3000, most: 1.25 },
]

export interface Verdict {
  workload: string
  /** 'at most 1.1 × nginx http'. */
  goal: string
  /** What badass came to, in the goal's terms; undefined where it has no figure. */
  ratio: number | undefined
  isMet: boolean
  /** Which of the npm peers it is held against. */
  rival?: string
}

/** How badass, run by this Node, stands to each goal. */
export function judgeGoals({ results }: Results, node: string): Verdict[] {
  return GOALS.map((goal) => ('from' in goal ? judgeFlat(goal, results, node) : judge(goal, results, node)))
}

function judge({ workload, most, peer }: Goal, results: readonly Result[], node: string): Verdict {
  const some = results.filter((result) => result.workload === workload)
  const ours = median(some.find((result) => result.peer === 'badass' && result.node === node))
  if (peer === undefined) return verdictOf({ workload, goal: `at most ${most} KB` }, most, ours)
  const rival = rivalOf(some, peer, node)
  const goal = `at most ${most} × ${peer === NPM ? 'the cheapest npm proxy' : peer}`
  const ratio = quotient(ours, median(rival))
  return verdictOf({ workload, goal, ...(peer === NPM && rival && { rival: rival.peer }) }, most, ratio)
}

function judgeFlat({ workload, from, to, most }: FlatGoal, results: readonly Result[], node: string): Verdict {
  const ratioOf = (peer: string, by?: string) => {
    const at = (x: number) =>
      median(results.find((one) => one.workload === `${workload} ${x}` && one.peer === peer && one.node === by))
    return quotient(at(to), at(from))
  }
  const theirs = ratioOf(FLAT_PEER)
  const aside = theirs === undefined ? '' : ` (${FLAT_PEER}: ${format(theirs)})`
  const goal = `at ${to.toLocaleString('en-US')} at most ${most} × what it is at ${from}${aside}`
  return verdictOf({ workload, goal }, most, ratioOf('badass', node))
}

function verdictOf(
  what: Pick<Verdict, 'workload' | 'goal' | 'rival'>,
  most: number,
  ratio: number | undefined,
): Verdict {
  return { ...what, ratio, isMet: ratio !== undefined && ratio <= most }
}

/** A line for each goal that there are figures for, a column for each Node. */
export function goalsTable(results: Results): string[][] {
  const nodes = nodesOf(results)
  const verdicts = nodes.map((node) => judgeGoals(results, node))
  const lines = GOALS.map((_, i) => verdicts.map((one) => one[i]!))
  return [
    ['', 'goal', ...nodes.map((node) => `Node ${node}`)],
    ...lines
      .filter((line) => line.some(({ ratio }) => ratio !== undefined))
      .map((line) => [line[0]!.workload, line[0]!.goal, ...line.map(cellOf)]),
  ]
}

function cellOf({ ratio, isMet, rival }: Verdict): string {
  if (ratio === undefined) return ''
  return `${format(ratio)}${rival ? ` (${rival})` : ''}${isMet ? '' : ', **missed**'}`
}

function rivalOf(some: readonly Result[], peer: string, node: string): Result | undefined {
  if (peer !== NPM) return some.find((result) => result.peer === peer)
  const rivals = some.filter(({ kind, reads, node: by }) => kind === 'npm' && reads === 'each request' && by === node)
  return rivals.filter((one) => median(one) !== undefined).sort((a, b) => median(a)! - median(b)!)[0]
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a !== undefined && b ? a / b : undefined
}

function median(result: Result | undefined): number | undefined {
  return (result?.memory ?? result?.cost)?.median
}
