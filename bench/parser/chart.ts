import { captionOf, nodesOf } from '../report/rows.ts'
import { type Bar, drawBars, GREY } from '../report/svg.ts'
import type { Results } from './results.ts'

/** What is drawn: the other figures are in the table. */
const PANELS = [
  ['small', 'whole'],
  ['browser', 'whole'],
  ['16 KiB', 'whole'],
  ['browser', 'byte by byte'],
] as const

/** The time of a head, a panel for each kind of head and each Node, the fastest first. */
export function drawParsers(all: Results): string {
  const { results } = all
  const nodes = nodesOf(all)
  const panels = nodes.flatMap((node) =>
    PANELS.map(([input, cut]) => {
      const some = results.filter((r) => r.node === node && r.input === input && r.cut === cut)
      some.sort((a, b) => a.nsPerHead.median - b.nsPerHead.median)
      const bars = some.map(
        ({ peer, nsPerHead }): Bar => ({
          name: peer,
          value: nsPerHead.median,
          isOurs: peer === 'HeadScanner',
          color: peer.startsWith('HeadScanner') ? '#ffc9a9' : GREY,
        }),
      )
      return { title: `${input} (${some[0]?.bytes} bytes), ${cut}, Node ${node}: ns`, bars }
    }),
  )
  return drawBars({ title: 'What a head takes to parse (less is better)', subtitle: captionOf(all) }, panels)
}
