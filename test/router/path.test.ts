import fc from 'fast-check'
import { expect, test } from 'vitest'
import { comparablePath, isAmbiguous } from '../../src/router/request-path.ts'

test.each([
  ['/', '/'],
  ['/static/x', '/static/x'],
  ['/%73tatic/%7Ex', '/static/~x'],
  ['//static///x', '/static/x'],
  ['/static;v=1/x;y', '/static/x'],
  ['/%3b%2561%40', '/%3B%2561@'],
  ['/100%/%zz', '/100%/%zz'],
  ['/a.b/.c/...', '/a.b/.c/...'],
])('%j is compared as %j', (path, comparable) => {
  expect(comparablePath(path)).toBe(comparable)
  expect(isAmbiguous(path)).toBe(false)
})

test.each([
  '/static/../admin',
  '/static/..',
  '/./admin',
  '/static/.%2e/admin',
  '/static/%2E%2E/admin',
  '/static/..%2fadmin',
  '/static%2Fadmin',
  '/static/..%5cadmin',
  '/static\\..\\admin',
  '/static/..;/admin',
  '/static/..;a=b/admin',
  '/static/.;/admin',
  '/static/%2e%2e;/admin',
  '/static/..%3b/admin',
  '/admin%00.html',
])('%j is ambiguous', (path) => {
  expect(isAmbiguous(path)).toBe(true)
})

/** The segments that a lenient server reads: it decodes bytes, resolves dots, and knows parameters and backslashes. */
function lenientSegments(path: string): string[] {
  const segments: string[] = []
  for (const raw of path.split(/[/\\]|%2f|%5c/i)) {
    const segment = raw
      .replace(/;.*/s, '')
      .replaceAll(/%(?!25)([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (segment === '..') segments.pop()
    else if (segment !== '.' && segment !== '') segments.push(segment)
  }
  return segments
}

const piece = fc.constantFrom(
  '/',
  '//',
  '.',
  '..',
  ';',
  ';a',
  'a',
  'b',
  '%61',
  '%2e',
  '%2F',
  '%5c',
  '\\',
  '%3B',
  '%',
  '%2',
)

test('a lenient server reads the same path as the routes, unless the path is ambiguous', () => {
  let compared = 0
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const path = `/${pieces.join('')}`
      if (isAmbiguous(path)) return
      compared++
      const ours = comparablePath(path)
      const plain = ours.split('/').filter((segment) => segment !== '')
      expect(plain).toEqual(lenientSegments(path).map((segment) => segment.replaceAll(';', '%3B')))
    }),
    { numRuns: 5_000 },
  )
  expect(compared).toBeGreaterThan(500)
})
