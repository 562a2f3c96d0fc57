import fc from 'fast-check'
import { expect } from 'vitest'
import { type Head, type HeadKind, HeadScanner, parseHead } from '../../../src/parser/index.ts'
import { validStream } from '../../parser/arbitraries.ts'
import { latin1 } from '../../parser/feed.ts'
import { hostileText, nearly, type Target } from './target.ts'

type Edit =
  | { how: 'set' | 'assign'; name: string; value: string | string[] }
  | { how: 'append'; name: string; value: string }
  | { how: 'delete' | 'drop'; name: string }
  | { how: 'first'; value: string }

export interface EditsInput {
  kind: HeadKind
  head: string
  edits: Edit[]
}

export type Edited = Pick<Head, 'first' | 'headers' | 'set' | 'append' | 'delete' | 'bytes'>

const NAMES = ['Host', 'host', 'Set-Cookie', 'Content-Length', 'X', '__proto__', 'constructor', 'toString']
const name = fc.oneof(fc.constantFrom(...NAMES), nearly(fc.constantFrom(...NAMES), 1), hostileText)
const value = fc.oneof(fc.string({ maxLength: 8 }), nearly(fc.constantFrom('a', 'text/html', ' a\t'), 2), hostileText)
const first = nearly(fc.constantFrom('GET / HTTP/1.1', 'HTTP/1.1 200 OK', 'HTTP/1.0 404 ', 'POST /a?b HTTP/1.0'), 2)

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ how: fc.constantFrom('set', 'assign'), name, value: fc.oneof(value, fc.array(value, { maxLength: 3 })) }),
  fc.record({ how: fc.constant('append'), name, value }),
  fc.record({ how: fc.constantFrom('delete', 'drop'), name }),
  fc.record({ how: fc.constant('first'), value: fc.oneof(first, hostileText) }),
)

/** Applies edits to a valid head. Each must work, or throw a TypeError and change nothing. */
export const editsTarget = (make: (head: Head) => Edited = (head) => head): Target<EditsInput> => ({
  arbitrary: fc
    .tuple(validStream, fc.array(edit, { minLength: 1, maxLength: 5 }))
    .map(([{ kind, head }, edits]) => ({ kind, head, edits })),
  check({ kind, head: text, edits }) {
    const head = make(parseHead(latin1(text), kind))
    let before = linesOf(text)
    for (const one of edits) {
      const isDone = attempt(() => apply(head, one))
      const bytes = head.bytes()
      const after = linesOf(bytes.toString('latin1'))
      if (isDone) expectEdited(one, before, after)
      else expect(after).toEqual(before)
      expectRight(kind, bytes, after)
      before = after
    }
  },
})

function attempt(edit: () => void): boolean {
  try {
    edit()
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return false
  }
}

function apply(head: Edited, one: Edit): void {
  if (one.how === 'set') head.set(one.name, one.value)
  else if (one.how === 'assign') head.headers[one.name] = one.value
  else if (one.how === 'append') head.append(one.name, one.value)
  else if (one.how === 'delete') head.delete(one.name)
  else if (one.how === 'drop') delete head.headers[one.name]
  else if (one.how === 'first') head.first = one.value
}

const linesOf = (head: string): string[] => head.slice(0, -4).split('\r\n')
const nameOf = (line: string): string => line.slice(0, line.indexOf(':')).toLowerCase()
const trim = (text: string): string => text.replace(/^[\t ]+|[\t ]+$/g, '')
const contentOf = (line: string): string => trim(line.slice(line.indexOf(':') + 1))

function expectEdited(one: Edit, [first, ...before]: string[], [firstAfter, ...after]: string[]): void {
  if (one.how === 'first') {
    expect([firstAfter, ...after]).toEqual([one.value, ...before])
    return
  }
  expect(firstAfter).toBe(first)
  const isOther = (line: string) => nameOf(line) !== one.name.toLowerCase()
  if (one.how === 'append') {
    expect(after).toEqual([...before, `${one.name}: ${trim(one.value)}`])
    return
  }
  const values = 'value' in one ? [one.value].flat().map(trim) : []
  expect(after.filter((line) => !isOther(line)).map(contentOf)).toEqual(values)
  expect(after.filter(isOther)).toEqual(before.filter(isOther))
}

/** Checks that the bytes are a head of exactly these lines, even if the rules on Host and framing refuse it. */
function expectRight(kind: HeadKind, bytes: Buffer, [first, ...lines]: string[]): void {
  const scanner = new HeadScanner(kind, { maxHeadBytes: bytes.length, maxFields: lines.length + 1 })
  if (scanner.push(bytes) !== 'head') {
    expect(scanner.error).toMatchObject({ state: 'Rules' })
    return
  }
  expect(scanner.rest).toHaveLength(0)
  expect(scanner.head!.first).toBe(first)
  // The target's authority replaces Host (RFC 9112 3.2.2).
  const hasAuthority = kind === 'request' && /^\S+ [^ /]+:\/\//.test(first!)
  const others = [...scanner.head!].filter(([name]) => !hasAuthority || name.toLowerCase() !== 'host')
  const read = lines.map((line) => [line.slice(0, line.indexOf(':')), contentOf(line)] as const)
  expect(others).toEqual(read.filter(([name]) => !hasAuthority || name.toLowerCase() !== 'host'))
}
