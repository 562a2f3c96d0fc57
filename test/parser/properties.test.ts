import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Head, HeadScanner, parseHead } from '../../src/parser/index.ts'
import { anyStream, cutter, limits, plainName, type Stream, validStream, value } from './arbitraries.ts'
import { feed, latin1 } from './feed.ts'
import { Tally } from './tally.ts'

/** Length of the empty line before the head. */
const dropped = ({ kind, bytes }: Stream) => (kind === 'request' && bytes.toString('latin1', 0, 2) === '\r\n' ? 2 : 0)

const isAbsolute = (head: string) => /^\S+ [^ /]+:\/\//.test(head)

test('gives any stream the same outcome however it is cut', () => {
  fc.assert(
    fc.property(anyStream, limits, cutter, ({ kind, bytes }, limit, cut) => {
      expect(feed(kind, cut(bytes), limit)).toEqual(feed(kind, [bytes], limit))
    }),
    { numRuns: 2_000 },
  )
})

test('accepts valid heads and returns their bytes unchanged', () => {
  fc.assert(
    fc.property(validStream, cutter, (stream, cut) => {
      const outcome = feed(stream.kind, cut(stream.bytes))
      expect(outcome).toMatchObject({ verdict: 'head', bytes: stream.head, rest: stream.rest })
    }),
    { numRuns: 500 },
  )
})

test('splits a stream into the head and the rest', () => {
  fc.assert(
    fc.property(anyStream, limits, cutter, (stream, limit, cut) => {
      const outcome = feed(stream.kind, cut(stream.bytes), limit)
      if (outcome.verdict === 'invalid') return
      const came = stream.bytes.toString('latin1', dropped(stream))
      // The target's authority replaces Host (RFC 9112 3.2.2).
      const withoutHost = (text: string) => (isAbsolute(came) ? text.replace(/^host:.*\r\n/im, '') : text)
      const end = came.length - outcome.rest.length
      expect(withoutHost(outcome.bytes) + outcome.rest).toBe(withoutHost(came.slice(0, end)) + came.slice(end))
    }),
    { numRuns: 500 },
  )
})

test('reads the start line and fields of an accepted head', () => {
  fc.assert(
    fc.property(anyStream, ({ kind, bytes }) => {
      const outcome = feed(kind, [bytes])
      if (outcome.verdict === 'invalid') return
      const [first, ...lines] = outcome.bytes.slice(0, -4).split('\r\n')
      expect(outcome.first).toBe(first)
      expect(outcome.fields).toEqual(
        lines.map((line) => {
          const colon = line.indexOf(':')
          return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
        }),
      )
    }),
    { numRuns: 500 },
  )
})

const FIELD_LINES = /(?:[!#$%&'*+\-.^_`|~\w]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/.source
/** RFC 9112 2.1 to 5 as one pattern per kind. */
const GRAMMAR = {
  request: new RegExp(
    `^(?:\\r\\n)?[!#$%&'*+\\-.^_\`|~\\w]+ [\\x21\\x22\\x24-\\x7e\\x80-\\xff]+ HTTP/\\d\\.\\d\\r\\n${FIELD_LINES}`,
  ),
  response: new RegExp(`^HTTP/\\d\\.\\d [1-9]\\d\\d(?: [\\t\\x20-\\x7e\\x80-\\xff]*)?\\r\\n${FIELD_LINES}`),
}

test('accepts the syntax that the grammar accepts', () => {
  fc.assert(
    fc.property(anyStream, ({ kind, bytes }) => {
      const outcome = feed(kind, [bytes])
      const isWhole = outcome.verdict === 'head' || outcome.state === 'Rules' || outcome.state === 'Preface'
      expect(isWhole).toBe(GRAMMAR[kind].test(bytes.toString('latin1')))
    }),
    { numRuns: 2_000 },
  )
})

test('reads each byte once, and buffers no more than the limit', () => {
  fc.assert(
    fc.property(anyStream, limits, cutter, ({ kind, bytes }, limit, cut) => {
      const tally = new Tally()
      const scanner = new HeadScanner(kind, limit)
      const chunks = cut(bytes).map((piece) => tally.counted(piece))
      tally.watch(() => {
        for (const chunk of chunks) if (!scanner.head) scanner.push(chunk)
      })
      expect(scanner.head ?? scanner.error ?? scanner.end()).toBeDefined()
      expect(scanner.head && scanner.error).toBeUndefined()

      // The rules read parts of a complete head again, Host several times.
      const factor = scanner.head || scanner.error?.state === 'Rules' ? 5 : 1
      expect(tally.looks).toBeLessThanOrEqual(factor * bytes.length + 1)
      // Only the buffer for the head is kept. `feed` shows that the chunks are not.
      expect(Math.max(0, ...tally.allocations)).toBeLessThanOrEqual(limit.maxHeadBytes ?? 32_768)
      expect(tally.copied).toBeLessThanOrEqual(3 * bytes.length)
    }),
    { numRuns: 1_000 },
  )
})

type Edit =
  | { how: 'set' | 'assign'; name: string; values: string | string[] }
  | { how: 'append'; name: string; values: string }
  | { how: 'delete' | 'drop'; name: string; values?: undefined }
  | { how: 'first' }

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({
    how: fc.constantFrom('set' as const, 'assign' as const),
    name: plainName,
    values: fc.oneof(value, fc.array(value, { maxLength: 3 })),
  }),
  fc.record({ how: fc.constant('append' as const), name: plainName, values: value }),
  fc.record({ how: fc.constantFrom('delete' as const, 'drop' as const), name: plainName }),
  fc.record({ how: fc.constant('first' as const) }),
)

const FIRST = { request: 'POST /edited HTTP/1.1', response: 'HTTP/1.1 299 Edited' }

function apply(head: Head, one: Edit): void {
  if (one.how === 'set') head.set(one.name, one.values)
  else if (one.how === 'assign') head.headers[one.name] = one.values
  else if (one.how === 'append') head.append(one.name, one.values)
  else if (one.how === 'delete') head.delete(one.name)
  else if (one.how === 'drop') delete head.headers[one.name]
  else head.first = FIRST[head.kind]
}

/** A head as a list of lines, edited in the simplest way. */
class Model {
  first: string
  lines: { name: string; line: string }[]

  constructor(head: string) {
    const [first, ...lines] = head.slice(0, -4).split('\r\n')
    this.first = first!
    this.lines = lines.map((line) => ({ name: line.slice(0, line.indexOf(':')), line }))
  }

  apply(one: Edit, first: string): void {
    if (one.how === 'first') this.first = first
    else if (one.how === 'append') this.#insert(this.lines.length, one.name, one.values)
    else this.#replace(one.name, one.values === undefined ? [] : [one.values].flat())
  }

  #replace(name: string, values: string[]): void {
    const there = this.lines.filter((line) => line.name.toLowerCase() === name.toLowerCase())
    for (const [i, line] of there.entries()) {
      const at = this.lines.indexOf(line)
      const was = line.line.slice(line.name.length + 1).replace(/^[ \t]+|[ \t]+$/g, '')
      if (values[i] === undefined) this.lines.splice(at, 1)
      else if (values[i] !== was) this.lines[at] = { name: line.name, line: `${line.name}: ${values[i]}` }
      if (values[i] !== undefined) there[i] = this.lines[at]!
    }
    const last = there[Math.min(there.length, values.length) - 1]
    const at = last ? this.lines.indexOf(last) + 1 : this.lines.length
    for (const [i, one] of values.slice(there.length).entries()) this.#insert(at + i, last?.name ?? name, one)
  }

  #insert(at: number, name: string, one: string): void {
    this.lines.splice(at, 0, { name, line: `${name}: ${one}` })
  }

  toString(): string {
    return [this.first, ...this.lines.map(({ line }) => line), '', ''].join('\r\n')
  }
}

test('serialises edits and leaves every other line unchanged', () => {
  const edits = fc.array(edit, { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(validStream, edits, cutter, ({ kind, head: text }, some, cut) => {
      const head = parseHead(latin1(text), kind)
      const model = new Model(text)
      for (const one of some) {
        apply(head, one)
        model.apply(one, FIRST[kind])
      }
      expect(head.bytes().toString('latin1')).toBe(model.toString())

      const outcome = feed(kind, cut(head.bytes()))
      expect(outcome).toMatchObject({ verdict: 'head', first: model.first, bytes: model.toString(), rest: '' })
      expect(outcome).toMatchObject({ fields: [...head] })
    }),
    { numRuns: 1_000 },
  )
})

test('throws on a name or value that would not read back the same', () => {
  const anything = fc.oneof(
    value,
    plainName,
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 }),
  )
  fc.assert(
    fc.property(anything, anything, (name, content) => {
      const text = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n'
      const head = parseHead(latin1(text), 'response')
      try {
        head.append(name, content)
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
        expect(head.bytes().toString()).toBe(text)
        return
      }
      expect([...parseHead(head.bytes(), 'response')]).toEqual([
        ['A', 'b'],
        [name, content.replace(/^[ \t]+|[ \t]+$/g, '')],
      ])
    }),
    { numRuns: 1_000 },
  )
})
