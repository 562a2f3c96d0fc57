import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'

interface Asset {
  type: string
  body: Buffer
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Reads every file of the page once, by name: a request path never becomes a file path. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const folder = join(import.meta.dirname, 'static')
  const files = readdirSync(folder).map((name): [name: string, path: string] => [name, join(folder, name)])
  // The build copies uPlot beside the other files. In the sources it is still in node_modules.
  if (!existsSync(join(folder, 'uplot.js'))) {
    const require = createRequire(import.meta.url)
    files.push(['uplot.js', require.resolve('uplot/dist/uPlot.esm.js')])
    files.push(['uplot.css', require.resolve('uplot/dist/uPlot.min.css')])
  }
  return new Map(
    files.flatMap(([name, path]) => {
      const type = TYPES[extname(name)]
      return type ? [[name, { type, body: readFileSync(path) }]] : []
    }),
  )
}
