import { tableOf } from '../report/markdown.ts'
import { format } from '../report/rows.ts'
import type { Result, Results } from './results.ts'

/** What a head takes, in ns: a line for each input and cut, a column for each peer. The short table has the browser's. */
export function parserTable({ results, machine, date, commit }: Results, isLong: boolean): string {
  const peers = [...new Set(results.map(({ peer }) => peer))]
  const titleOf = ({ input, bytes, cut, node }: Result) => `${input} (${bytes} B), ${cut}; Node ${node}`
  const shown = results.filter(({ input, cut }) => isLong || (input === 'browser' && cut !== 'in two'))
  const body = [...new Set(shown.map(titleOf))].map((title) => {
    const row = shown.filter((one) => titleOf(one) === title)
    const least = Math.min(...row.map(({ nsPerHead }) => nsPerHead.median))
    return [
      title,
      ...peers.map((name) =>
        cellOf(
          row.find(({ peer }) => peer === name),
          least,
        ),
      ),
    ]
  })
  const of = `${machine.cpu}, ${machine.cores} cores; ${date.slice(0, 10)}, commit ${commit.slice(0, 10)}`
  return `${tableOf([['head, ns each', ...peers], ...body])}\n\n${of}.`
}

function cellOf(result: Result | undefined, least: number): string {
  if (!result) return ''
  const text = format(result.nsPerHead.median)
  return result.nsPerHead.median === least ? `**${text}**` : text
}
