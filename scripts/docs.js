// Copies the files of examples/ and the tables of error codes into README.md and docs/.
// `npm run docs` runs it. A test checks that the pages are up to date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Paths of the pages, relative to the root. */
export const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
)

/** @param {string} path */
export function readPage(path) {
  return readFileSync(join(root, path), 'utf8')
}

/**
 * The text of an example as pages show it, without its `@ts-check` line.
 * @param {string} name
 */
export function readExample(name) {
  return readFileSync(join(root, 'examples', name), 'utf8').replace(/^\/\/ @ts-check\n/, '')
}

/**
 * Fills in the examples and tables of a page. An example follows `<!-- example: NAME -->` as a fenced block; a table
 * stands between `<!-- table: NAME -->` and `<!-- /table -->`.
 * @param {string} page
 * @param {Record<string, Record<string, string | readonly [number | undefined, string]>>} tables error codes, by table
 */
export function render(page, tables) {
  return page
    .replace(/(<!-- example: (\S+) -->\n```\w*\n).*?^```$/gms, (_, start, name) => `${start}${readExample(name)}\`\`\``)
    .replace(/(<!-- table: (\S+) -->\n).*?(<!-- \/table -->)/gs, (_, start, name, end) => {
      if (!tables[name]) throw new Error(`${name}: no such table`)
      return `${start}${tableOf(tables[name])}${end}`
    })
}

/** @param {Record<string, string | readonly [number | undefined, string]>} codes */
function tableOf(codes) {
  const rows = Object.entries(codes)
  if (rows.every(([, value]) => typeof value === 'string')) {
    return `| code | meaning |\n|---|---|\n${rows.map(([code, meaning]) => `| \`${code}\` | ${meaning} |\n`).join('')}`
  }
  // The status of BAD_HEAD is that of its cause.
  const cells = rows.map(([code, [status, meaning]]) => [code, code === 'BAD_HEAD' ? '400, 431, 505' : status, meaning])
  const lines = cells.map(([code, status, meaning]) => `| \`${code}\` | ${status ?? ''} | ${meaning} |\n`)
  return `| code | status | meaning |\n|---|---|---|\n${lines.join('')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [proxy, parser] = await Promise.all(['proxy', 'parser'].map((room) => import(`../dist/${room}/index.js`)))
  const { headErrorCodes: HeadError, bodyErrorCodes: BodyError, proxyHeaderErrorCodes: ProxyHeaderError } = parser
  const tables = { ProxyError: proxy.proxyErrorCodes, HeadError, BodyError, ProxyHeaderError }
  for (const path of pages) writeFileSync(join(root, path), render(readPage(path), tables))
}
