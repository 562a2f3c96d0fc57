import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname } from 'node:path'

interface Asset {
  type: string
  body: Uint8Array<ArrayBuffer>
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Every file of the page by its name, read once: no path of a request is ever one of the file system. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const require = createRequire(import.meta.url)
  const folder = new URL('./static/', import.meta.url)
  const files: [name: string, path: string | URL][] = [
    ...readdirSync(folder).map((name): [string, URL] => [name, new URL(name, folder)]),
    ['uplot.js', require.resolve('uplot/dist/uPlot.esm.js')],
    ['uplot.css', require.resolve('uplot/dist/uPlot.min.css')],
  ]
  return new Map(
    files.flatMap(([name, path]) => {
      const type = TYPES[extname(name)]
      return type ? [[name, { type, body: new Uint8Array(readFileSync(path)) }]] : []
    }),
  )
}
