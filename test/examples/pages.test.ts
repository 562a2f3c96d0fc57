import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pages, readExample, readPage, render } from '../../scripts/docs.js'
import { Metrics } from '../../src/cli/admin/metrics.ts'
import { createCommand } from '../../src/cli/config/arguments.ts'
import { LIMIT_NAMES } from '../../src/cli/config/settings.ts'
import { addUpServices } from '../../src/cli/counters.ts'
import { toJson } from '../../src/cli/service/log-format.ts'
import { proxyErrorCodes } from '../../src/index.ts'
import { bodyErrorCodes, headErrorCodes, proxyHeaderErrorCodes } from '../../src/parser/index.ts'
import { OPTION_RULES } from '../../src/proxy/index.ts'
import { root } from './running.ts'

// Compares README.md and docs/ with the code and examples/. `npm run docs` regenerates examples and tables.

const TABLES = {
  ProxyError: proxyErrorCodes,
  HeadError: headErrorCodes,
  BodyError: bodyErrorCodes,
  ProxyHeaderError: proxyHeaderErrorCodes,
}

describe.each(pages)('%s', (path) => {
  const text = readPage(path)

  test('contains its examples and tables unchanged', () => {
    expect(text).toBe(render(text, TABLES))
  })

  test('has its JavaScript, JSON and badass commands from examples/', () => {
    const prose = text.replace(/<!-- example: (\S+) -->\n```\w*\n.*?^```$/gms, '')
    expect(prose).not.toMatch(/^```(?:js|json|ts)$/m)
    for (const [block] of prose.matchAll(/^```\w*\n.*?^```$/gms)) expect(block).not.toMatch(/^badass /m)
    for (const [, name] of text.matchAll(/<!-- example: (\S+) -->/g)) expect(readExample(name!)).not.toBe('')
  })

  test('names only existing files', () => {
    const prose = text.replace(/^```.*?^```$/gms, '')
    const paths = [...prose.matchAll(/`((?:src|test|examples|bench|docs|scripts)\/[\w./-]*)`/g)].map(
      ([, file]) => file!,
    )
    expect(paths.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })

  test('has no broken links', () => {
    const prose = text.replace(/^```.*?^```$/gms, '')
    for (const [, link] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue
      const [file = '', anchor] = link!.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      expect(existsSync(join(root, target)), `${link} in ${path}`).toBe(true)
      if (anchor !== undefined) expect(anchorsOf(target), `${link} in ${path}`).toContain(anchor)
    }
  })
})

/** The anchors of a page's headings, as GitHub generates them. */
function anchorsOf(path: string): string[] {
  const headings = readFileSync(join(root, path), 'utf8').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test('README.md is short', () => {
  expect(Buffer.byteLength(readPage('README.md'))).toBeLessThan(10_000)
})

test('README.md contains the figures of the benchmarks', () => {
  const table = readPage('README.md').split('## How fast it is')[1]!.split('\n![')[0]!
  const figures = [...table.matchAll(/ ([\d.,]+) (?=\|)/g)].map(([, figure]) => figure!)
  expect(figures.length).toBeGreaterThan(20)
  const measured = readFileSync(join(root, 'bench', 'README.md'), 'utf8')
  expect(figures.filter((figure) => !measured.includes(` ${figure} `))).toEqual([])
})

test('README.md links to every page', () => {
  const readme = readPage('README.md')
  expect(pages.filter((page) => page !== 'README.md' && !readme.includes(page))).toEqual([])
})

describe('docs/command.md', () => {
  const page = readPage('docs/command.md')

  test('documents every option', () => {
    const options = createCommand().options.map(({ long }) => long!)
    expect(options.length).toBeGreaterThan(30)
    expect(options.filter((option) => !page.includes(option))).toEqual([])
  })

  test('documents every metric', async () => {
    const snapshot = { version: '', draining: false, workers: 1, restarts: 0, backends: [], removed: [], requests: [] }
    const counters = addUpServices([])
    const take = async () => ({ ...snapshot, counters, certificates: [] })
    const names = [...(await new Metrics(take, async () => '').text()).join('').matchAll(/^# HELP (\S+)/gm)]
    const rows = [...page.matchAll(/^\| `(badass_\w+)` /gm)].map(([, name]) => name)
    expect(rows.sort()).toEqual(names.map(([, name]) => name).sort())
  })

  test('documents every field of the log', () => {
    const times = { headMs: 0, connectMs: 0, firstByteMs: 0, totalMs: 0 }
    const fields = { referer: '', userAgent: '', requestId: '', retries: 0, bytesIn: 0, bytesOut: 0, bodyBytesOut: 0 }
    const entry = { client: '', request: '', status: 200, pool: '', backend: '', ...times, ...fields }
    const names = Object.keys(JSON.parse(toJson({ time: 0, ...entry, outcome: 'ok' })))
    const rows = [
      ...page
        .split('## Access log')[1]!
        .split('\n## ')[0]!
        .matchAll(/^\| `(\w+)` /gm),
    ]
    expect(rows.map(([, name]) => name)).toEqual(names)
  })
})

test('docs/config.md documents every key of the command line', () => {
  const page = readPage('docs/config.md')
  const others = ['check', 'config', 'route', 'tlsCert', 'tlsKey', 'dnsServer', 'dnsInterval', 'dnsHold', 'version']
  const keys = createCommand().options.map((option) => option.attributeName())
  const names = [...keys.filter((key) => !others.includes(key)), ...LIMIT_NAMES]
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})

describe('docs/api.md', () => {
  const page = readPage('docs/api.md')

  test.each(['index.ts', 'parser/index.ts', 'balancer.ts', 'sticky.ts', 'router.ts'])(
    'documents every name of src/%s',
    (file) => {
      const source = readFileSync(join(root, 'src', file), 'utf8')
      const names = [...source.matchAll(/^export (?:type )?\{(.*?)\}/gms)].flatMap(([, list]) => list!.match(/\w+/g)!)
      expect(names.length).toBeGreaterThan(5)
      expect(names.filter((name) => name !== 'type' && !new RegExp(`\\b${name}\\b`).test(page))).toEqual([])
    },
  )

  test('documents every option with its default', () => {
    const shown = (value: unknown) => {
      if (typeof value === 'object' && value) return JSON.stringify(value)
      return typeof value === 'string' ? `'${value}'` : String(value ?? 'none')
    }
    const options = Object.entries(OPTION_RULES).filter(([name]) => !['lookup', 'modify', 'errback'].includes(name))
    const table = page.split('\n## Options')[1]!.split('\n## ')[0]!
    const rows = [...table.matchAll(/^\| `(\w+)` \| `?([^`]*?)`? \|/gm)]
    expect(Object.fromEntries(rows.map(([, name, defaultValue]) => [name, defaultValue]))).toEqual(
      Object.fromEntries(options.map(([name, rule]) => [name, shown(rule.default)])),
    )
  })
})
