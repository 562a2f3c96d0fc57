import type { HeadErrorCode, HeadKind, HeadLimits } from '../../../src/parser/index.ts'

/**
 * One stream of bytes and what must come of it. In `input`, one character is one byte; '▸' is none, but marks a place:
 * where `rest` begins in a stream that is taken, and the byte that breaks the rule in one that is refused. A stream
 * without the mark has no rest, or is refused where it ends.
 */
export interface Case {
  name: string
  kind: HeadKind
  input: string
  expected: Accepted | Refused
  limits?: HeadLimits
}

export interface Accepted {
  first: string
  fields: [name: string, value: string][]
}

export interface Refused {
  code: HeadErrorCode
  state: string
}

/** The bytes of a case, and the offset of its mark. */
export function read({ input }: Case): { bytes: Buffer; mark: number } {
  const mark = input.indexOf('▸')
  const bytes = Buffer.from(input.replace('▸', ''), 'latin1')
  return { bytes, mark: mark < 0 ? bytes.length : mark }
}

export const request = (name: string, input: string, expected: Accepted | Refused, limits?: HeadLimits): Case =>
  limits ? { name, kind: 'request', input, expected, limits } : { name, kind: 'request', input, expected }

export const response = (name: string, input: string, expected: Accepted | Refused, limits?: HeadLimits): Case =>
  limits ? { name, kind: 'response', input, expected, limits } : { name, kind: 'response', input, expected }

export const taken = (first: string, ...fields: [name: string, value: string][]): Accepted => ({ first, fields })

export const refused = (code: HeadErrorCode, state: string): Refused => ({ code, state })

/** A request with these field lines: taken, or where an error is named, refused at the mark in one of them. */
export function withFields(name: string, lines: string[], error?: Refused, firstLine = 'POST / HTTP/1.1'): Case {
  const input = `${firstLine}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
  if (error) return request(name, input, error)
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
  })
  return request(name, input, taken(firstLine, ...fields))
}

/** Refused for what it says, and not for how. */
export const rule = (code: HeadErrorCode) => refused(code, 'Rules')
