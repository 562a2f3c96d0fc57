import { tableOf } from '../report/markdown.ts'
import { captionOf, format, nodesOf } from '../report/rows.ts'
import { floor } from './peers/simple.ts'
import { GOALS, goalsOf, type Result, type Results } from './results.ts'

/** What a head takes, in ns: a line for each input and cut, a column for each peer. The short table has the browser's. */
export function parserTable(all: Results, isLong: boolean): string {
  const { results } = all
  const peers = [...new Set(results.map(({ peer }) => peer))]
  const titleOf = ({ input, bytes, cut, node }: Result) => `${input} (${bytes} B), ${cut}; Node ${node}`
  const shown = results.filter(({ input, cut }) => isLong || (input === 'browser' && cut !== 'in two'))
  const body = [...new Set(shown.map(titleOf))].map((title) => {
    const row = shown.filter((one) => titleOf(one) === title)
    // The floor is no parser: it is in no contest.
    const least = Math.min(...row.filter(({ peer }) => peer !== floor.name).map(({ nsPerHead }) => nsPerHead.median))
    const cells = peers.map((name) => row.find(({ peer }) => peer === name))
    return [title, ...cells.map((result) => cellOf(result, least))]
  })
  return `${tableOf([['head, ns each', ...peers], ...body])}\n\n${captionOf(all)}.\n\n${tableOf(goalsTable(all))}`
}

function cellOf(result: Result | undefined, least: number): string {
  if (!result) return ''
  const text = format(result.nsPerHead.median)
  return result.nsPerHead.median === least && result.peer !== floor.name ? `**${text}**` : text
}

function goalsTable(all: Results): string[][] {
  const nodes = nodesOf(all)
  const goals = nodes.map((node) => goalsOf(all.results, node))
  const show = (ratio: number, isMet: boolean) => `${format(ratio)}${isMet ? '' : ', **missed**'}`
  return [
    ['', 'goal', ...nodes.map((node) => `Node ${node}`)],
    [
      "the browser's head, whole",
      `at least ${GOALS.timesNode} × as fast as Node llhttp`,
      ...goals.map(({ timesNode }) => show(timesNode, timesNode >= GOALS.timesNode)),
    ],
    [
      'the same, byte by byte',
      `at most ${GOALS.timesWhole} × its time whole`,
      ...goals.map(({ timesWhole }) => show(timesWhole, timesWhole <= GOALS.timesWhole)),
    ],
  ]
}
