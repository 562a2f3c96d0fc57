import {
  type HeadError,
  type HeadKind,
  type HeadLimits,
  HeadScanner,
  type LenientScanner,
} from '../../src/parser/index.ts'

/** The outcome of scanning a stream. Strings are Latin-1. */
export type Outcome =
  | { verdict: 'head'; first: string; fields: [name: string, value: string][]; bytes: string; rest: string }
  | {
      verdict: 'invalid'
      code: string
      status: number
      offset: number
      state: string
      byte: number | undefined
      message: string
    }

export const latin1 = (text: string) => Buffer.from(text, 'latin1')

export function refusal({ code, status, offset, state, byte, message }: HeadError): Outcome {
  return { verdict: 'invalid', code, status, offset, state, byte, message }
}

/**
 * Feeds a scanner the pieces of a stream and then its end. Each piece has its own memory, which is overwritten when the
 * scanner wants more, because the scanner must not keep it.
 */
export function feed(kind: HeadKind, pieces: readonly Buffer[], limits?: HeadLimits): Outcome {
  return feedTo(new HeadScanner(kind, limits), pieces)
}

export function feedTo(scanner: HeadScanner | LenientScanner, pieces: readonly Buffer[]): Outcome {
  for (const [at, piece] of pieces.entries()) {
    const chunk = Buffer.from(piece)
    const verdict = scanner.push(chunk)
    if (verdict === 'invalid') return refusal(scanner.error!)
    if (verdict === 'head') {
      const head = scanner.head!
      const rest = Buffer.concat([scanner.rest, ...pieces.slice(at + 1)])
      return {
        verdict,
        first: head.first,
        fields: [...head],
        bytes: head.bytes().toString('latin1'),
        rest: rest.toString('latin1'),
      }
    }
    chunk.fill('*')
  }
  return refusal(scanner.end())
}

/** The bytes one by one, with an empty chunk before each. */
export function byteByByte(bytes: Buffer): Buffer[] {
  return [...bytes].flatMap((byte) => [Buffer.alloc(0), Buffer.from([byte])])
}

/** The bytes cut before each of the offsets, in any order. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const cuts = [0, ...offsets.toSorted((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end))
}
