import type { Figure, Result, Results } from './results.ts'

/** A workload, and what the peers did of it. */
export interface Section {
  workload: string
  /** What it does. */
  title: string
  unit: string
  /** The cheapest first; at the end those that have no figure. */
  rows: Row[]
}

export interface Row {
  /** The peer, with its Node where there are several. */
  name: string
  result: Result
  /** The figure that the section is sorted by. */
  figure: Figure | undefined
  /** How many times what badass takes; undefined where there is nothing to compare with. */
  ratio: number | undefined
}

/** Whether the workload is there for a curve: 'scale 10', 'scale 100', 'open 0'. */
export function isOnCurve({ workload }: { workload: string }): boolean {
  return /^(scale|open) \d+$/.test(workload)
}

/** Whether a row is of what this package ships, as it is most plainly used. */
export function isOurs({ peer }: Result): boolean {
  return peer === 'badass'
}

/** What is said of a run, whatever its results are of. */
type AnyResults = Results<{ node?: string; rounds: number }>

/** The nodes that ran peers, in the order of the results. */
export function nodesOf({ results }: AnyResults): string[] {
  return [...new Set(results.flatMap(({ node }) => node ?? []))]
}

/** In the order of the results. */
export function sectionsOf(all: Results): Section[] {
  const nodes = nodesOf(all)
  return [...new Set(all.results.map(({ workload }) => workload))].map((workload) => {
    const results = all.results.filter((result) => result.workload === workload)
    const rows = results.map((result): Row => {
      const name = nodes.length > 1 && result.node ? `${result.peer} (Node ${result.node})` : result.peer
      return { name, result, figure: figureIn(result), ratio: ratioTo(ours(results, result.node ?? nodes[0]), result) }
    })
    rows.sort((a, b) => (a.figure?.median ?? Infinity) - (b.figure?.median ?? Infinity))
    const { title, unit } = results[0]!
    return { workload, title, unit, rows }
  })
}

function ours(results: readonly Result[], node: string | undefined): Result | undefined {
  return results.find((result) => isOurs(result) && result.node === node)
}

function figureIn({ memory, cost }: Result): Figure | undefined {
  return memory ?? cost
}

function ratioTo(one: Result | undefined, other: Result): number | undefined {
  const [a, b] = [one && figureIn(one), figureIn(other)]
  return a && b && a.median > 0 ? b.median / a.median : undefined
}

/** Three digits that count, thousands apart. */
export function format(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** How far the rounds were apart. */
export function formatSpread({ min, max }: Figure): string {
  return `${format(min)} - ${format(max)}`
}

/** What the figures were measured on and when, in a line. */
export function captionOf(all: AnyResults): string {
  const { machine, commit, isDirty, date, isShort, results } = all
  const rounds = Math.max(0, ...results.map((result) => result.rounds))
  return [
    nodesOf(all)
      .map((node) => `Node ${node}`)
      .join(' and '),
    `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}`,
    `${rounds} round${rounds === 1 ? '' : 's'}${isShort ? ' of the short form' : ''}`,
    `${date.slice(0, 10)}, commit ${commit.slice(0, 10)}${isDirty ? ' with changes' : ''}`,
  ].join('; ')
}
