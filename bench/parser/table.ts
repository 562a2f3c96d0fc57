import { format, formatSpread } from '../report/rows.ts'
import { GOALS, goalsOf, type Result, type Results } from './results.ts'

const TITLES = ['ns/head', 'from - to', 'x HeadScanner', 'heads/s', 'MB/s', 'heap B/head', 'external B/head']

function cells(result: Result, ours: number): string[] {
  const { nsPerHead, headsPerSecond, bytesPerSecond, heapBytesPerHead, externalBytesPerHead } = result
  return [
    format(nsPerHead.median),
    formatSpread(nsPerHead),
    (nsPerHead.median / ours).toFixed(2),
    format(headsPerSecond),
    format(bytesPerSecond / 1e6),
    format(heapBytesPerHead),
    format(externalBytesPerHead),
  ]
}

/** The results of one input with one cut, in their order. */
export function formatSection(results: readonly Result[]): string {
  const { input, bytes, cut, node } = results[0]!
  const ours = results.find(({ peer }) => peer === 'HeadScanner')!.nsPerHead.median
  const lines = [
    [`${input} (${bytes} B), ${cut}, Node ${node}`, ...TITLES],
    ...results.map((result) => [result.peer, ...cells(result, ours)]),
  ]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n')
}

/** What the peers do differently, and how far the goals are met. */
export function formatNotes({ results }: Results): string {
  const notes = new Map(results.map(({ peer, note }) => [peer, note]))
  const nodes = [...new Set(results.map(({ node }) => node))]
  const goals = nodes.map((node) => {
    const { timesNode, timesWhole } = goalsOf(results, node)
    return (
      `Node ${node}, the browser's head: HeadScanner is ${timesNode.toFixed(2)} x as fast as Node's llhttp (goal: ${GOALS.timesNode}), ` +
      `and byte by byte takes ${timesWhole.toFixed(1)} x its time (goal: at most ${GOALS.timesWhole})`
    )
  })
  return [...[...notes].map(([peer, note]) => `${peer}: ${note}`), '', ...goals].join('\n')
}
