import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', 'src')
/** From the lowest to the highest. */
const ROOMS = ['parser', 'proxy', 'sticky', 'cli']

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))

function importsOf(file: string): string[] {
  const code = readFileSync(join(root, file), 'utf8')
  return [...code.matchAll(/^(?:(?:import|export)\b[^'\n]*|\} )from '([^']+)'|\bimport\('([^']+)'/gm)].map(
    ([, a, b]) => a ?? b!,
  )
}

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
}

test('each room has its files', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual(['', ...ROOMS].sort())
})

test.each(files)('%s imports from lower rooms, by their front doors, and only the command has dependencies', (file) => {
  const room = roomOf(file)
  for (const name of importsOf(file)) {
    if (!name.startsWith('.')) {
      if (room !== 'cli') expect(name).toMatch(/^node:/)
      continue
    }
    const path = relative(root, join(root, dirname(file), name))
    const other = roomOf(path)
    if (other === room) continue
    if (room === '') expect(path).toBe(`${other}/index.ts`)
    else if (other === '') expect([room, path]).toEqual(['cli', 'index.ts'])
    else {
      expect(ROOMS.indexOf(other)).toBeLessThan(ROOMS.indexOf(room))
      expect(path).toBe(`${other}/index.ts`)
    }
  }
})
