// Plain tables, made anew when what they show changes.
import { make } from './dom.js'

/**
 * A table of `columns`: [heading, cellOf(row), class?][]. A cell is text or an element; an empty one is a dash.
 * A column without a cell in any row is left out.
 */
export function tableOf(caption, columns, rows) {
  const cells = rows.map((row, i) => columns.map(([, cellOf]) => cellOf(row, i) || undefined))
  const used = columns
    .map((column, i) => ({ column, i }))
    .filter(({ i }) => cells.some((line) => line[i] !== undefined))
  const heads = used.map(({ column: [name, , className = ''] }) => {
    return make('th', { scope: 'col', textContent: name, className })
  })
  const lines = cells.map((line) => {
    const tds = used.map(({ column: [name, , className = ''], i }) => {
      return make(
        'td',
        { className: line[i] === undefined ? `${className} blank` : className, data: { label: name } },
        line[i] ?? '–',
      )
    })
    return make('tr', {}, ...tds)
  })
  return make(
    'table',
    { className: 'plain' },
    make('caption', { className: 'unseen', textContent: caption }),
    make('thead', {}, make('tr', {}, ...heads)),
    make('tbody', {}, ...lines),
  )
}
