import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', 'src')
/** Folders, each with those whose front door it may import. Files in `src` itself are shared by all of them. */
const ROOMS: Record<string, readonly string[]> = {
  parser: [],
  proxy: ['parser'],
  balancer: ['parser', 'proxy'],
  sticky: ['parser', 'proxy'],
  router: ['parser', 'proxy'],
  cli: ['parser', 'proxy', 'balancer', 'sticky', 'router'],
}
/** Folders of the command, in the same way. Files in `cli` itself are shared by all of them, but for those that start it. */
const COMMAND_ROOMS: Record<string, readonly string[]> = {
  config: [],
  listening: ['config'],
  admin: ['config', 'listening'],
  service: ['config', 'listening', 'admin'],
  workers: ['config', 'listening', 'admin', 'service'],
}
const STARTERS = ['cli/main.ts', 'cli/run.ts']
/** Files of `src` that put public names together: only the command may import them. */
const ENTRIES = ['index.ts', 'balancer.ts', 'sticky.ts', 'router.ts']
/** A Head has a view on its fields, and the view writes to the Head. */
const ALLOWED_CIRCLE = ['parser/head.ts', 'parser/view.ts']

const STATIC = /^(?:(?:import|export)\b[^'\n]*|\} )from '([^']+)'/gm
const LATE = /\bimport\('([^']+)'/g

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
/** Modules that each file names, type imports included; those of `src` by their path in it. */
const imports = new Map(files.map((file) => [file, [...namesIn(file, STATIC), ...namesIn(file, LATE)]]))
/** Those of them that are loaded late, by `import()`. */
const late = new Map(files.map((file) => [file, namesIn(file, LATE)]))

function namesIn(file: string, pattern: RegExp): string[] {
  const code = readFileSync(join(root, file), 'utf8')
  return [...code.matchAll(pattern)].map(([, name]) =>
    name!.startsWith('.') ? relative(root, join(root, dirname(file), name!)) : name!,
  )
}

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
}

test('src has the rooms that are listed here', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual(['', ...Object.keys(ROOMS)].sort())
})

test('a folder is entered by its front door, unless a file of it is loaded late', () => {
  const wrong: string[] = []
  for (const [file, names] of imports) {
    for (const name of names.filter((one) => one.endsWith('.ts'))) {
      const folder = dirname(name)
      const isInside = folder === '.' || file.startsWith(`${folder}/`)
      if (isInside || name === `${folder}/index.ts` || late.get(file)!.includes(name)) continue
      // --help and --version are to load little.
      if (file === 'cli/run.ts' && folder === 'cli/config') continue
      wrong.push(`${file} imports ${name}`)
    }
  }
  expect(wrong).toEqual([])
})

test('folders of the command import lower ones', () => {
  const folderOf = (path: string) => /^cli\/(\w+)\//.exec(path)?.[1]
  expect([...new Set(files.flatMap((file) => folderOf(file) ?? []))].sort()).toEqual(Object.keys(COMMAND_ROOMS).sort())
  const wrong: string[] = []
  for (const [file, names] of imports) {
    const from = folderOf(file)
    for (const name of names) {
      const to = folderOf(name)
      const isAllowed = from === undefined ? STARTERS.includes(file) : from === to || COMMAND_ROOMS[from]!.includes(to!)
      if (to !== undefined && !isAllowed) wrong.push(`${file} imports ${name}`)
      if (from !== undefined && STARTERS.includes(name)) wrong.push(`${file} imports ${name}`)
    }
  }
  expect(wrong).toEqual([])
})

test('rooms import lower ones, by their front doors', () => {
  const wrong: string[] = []
  for (const [file, names] of imports) {
    for (const name of names.filter((one) => one.endsWith('.ts'))) {
      const [from, to] = [roomOf(file), roomOf(name)]
      const isFrontDoor = name === `${to}/index.ts`
      if (from === to && from !== '') continue
      if (from === '' && ENTRIES.includes(file) && (isFrontDoor || ENTRIES.includes(name))) continue
      if (to === '' && (from === 'cli' || !ENTRIES.includes(name))) continue
      if (isFrontDoor && ROOMS[from]?.includes(to)) continue
      wrong.push(`${file} imports ${name}`)
    }
  }
  expect(wrong).toEqual([])
})

test('only the command has dependencies, and neither the parser nor what all rooms share knows a socket', () => {
  const wrong: string[] = []
  for (const [file, names] of imports) {
    for (const name of names.filter((one) => !one.endsWith('.ts'))) {
      if (roomOf(file) !== 'cli' && !name.startsWith('node:')) wrong.push(`${file} imports ${name}`)
      if (['parser', ''].includes(roomOf(file)) && ['node:net', 'node:tls', 'node:http'].includes(name)) {
        wrong.push(`${file} imports ${name}`)
      }
    }
  }
  expect(wrong).toEqual([])
})

test('no files import each other in a circle, type imports included', () => {
  const circles: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) {
      const circle = path.slice(path.indexOf(file))
      if (!circle.every((one) => ALLOWED_CIRCLE.includes(one))) circles.push([...circle, file].join(' > '))
      return
    }
    if (done.has(file)) return
    for (const name of imports.get(file) ?? []) visit(name, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})
