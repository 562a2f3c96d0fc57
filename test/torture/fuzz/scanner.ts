import fc from 'fast-check'
import { expect } from 'vitest'
import { type HeadKind, HeadScanner, parseHead } from '../../../src/parser/index.ts'
import { anyStream } from '../../parser/arbitraries.ts'
import { byteByByte, cutAt, latin1 } from '../../parser/feed.ts'
import { buildCorpus } from '../hostile/corpus.ts'
import { judge } from '../hostile/reference.ts'
import { hostileBytes, nearly, type Target } from './target.ts'

export interface ScannerInput {
  kind: HeadKind
  bytes: string
  cuts: number[]
}

export type Scanner = Pick<HeadScanner, 'push' | 'end' | 'head' | 'rest' | 'error'>

const CORPUS = buildCorpus()

const stream = fc.oneof(
  anyStream.map(({ kind, bytes }) => ({ kind, bytes: bytes.toString('latin1') })),
  nearly(fc.constantFrom(...CORPUS)).map((bytes) => ({ kind: 'request' as const, bytes })),
  fc.record({ kind: fc.constantFrom<HeadKind>('request', 'response'), bytes: hostileBytes }),
)

/** Scans any bytes in any pieces. */
export const scannerTarget = (
  make: (kind: HeadKind) => Scanner = (kind) => new HeadScanner(kind),
): Target<ScannerInput> => ({
  arbitrary: fc.tuple(stream, fc.array(fc.nat(), { maxLength: 8 })).map(([whole, cuts]) => ({ ...whole, cuts })),
  check({ kind, bytes, cuts }) {
    const whole = latin1(bytes)
    const outcome = run(make(kind), [whole])
    const places = cuts.map((place) => place % (whole.length + 1))
    for (const pieces of [cutAt(whole, places), byteByByte(whole)]) expect(run(make(kind), pieces)).toEqual(outcome)
    if (typeof outcome.head !== 'string') return
    const came = kind === 'request' ? bytes.replace(/^\r\n/, '') : bytes
    // The target's authority replaces Host (RFC 9112 3.2.2).
    const isAbsolute = kind === 'request' && /^\S+ [^ /]+:\/\//.test(came)
    const comparable = (text: string) => (isAbsolute ? text.replace(/^host:.*\r\n/im, '') : text)
    expect(came.endsWith(outcome.rest)).toBe(true)
    expect(comparable(outcome.head)).toBe(comparable(came.slice(0, came.length - outcome.rest.length)))
    if (kind === 'request') expect(judge(bytes).verdict).not.toBe('must refuse')
    const again = parseHead(latin1(outcome.head), kind)
    expect([again.first, [...again]]).toEqual([outcome.first, outcome.fields])
    expect(again.bytes().toString('latin1')).toBe(outcome.head)
  },
})

/** Scans the pieces. Each piece is overwritten after the scanner has read it. */
function run(scanner: Scanner, pieces: readonly Buffer[]) {
  for (const [i, piece] of pieces.entries()) {
    const chunk = Buffer.from(piece)
    const verdict = scanner.push(chunk)
    if (verdict === 'invalid') return { code: scanner.error!.code, offset: scanner.error!.offset }
    if (verdict === 'head') {
      const head = scanner.head!
      const rest = Buffer.concat([scanner.rest, ...pieces.slice(i + 1)]).toString('latin1')
      return { head: head.bytes().toString('latin1'), first: head.first, fields: [...head], rest }
    }
    chunk.fill('*')
  }
  const { code, offset } = scanner.end()
  return { code, offset }
}
