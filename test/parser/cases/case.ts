import type { HeadErrorCode, HeadKind, HeadLimits } from '../../../src/parser/index.ts'

/**
 * A stream of bytes and the expected outcome. Each character of `input` is one byte, except '▸', which marks an offset:
 * the start of `rest` if the stream is accepted, the offending byte if it is refused. Without a mark the offset is the
 * end of the stream.
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
  /** The head to send, if it differs from the input. */
  repaired?: string
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

export const accepted = (first: string, ...fields: [name: string, value: string][]): Accepted => ({ first, fields })

export const refused = (code: HeadErrorCode, state: string): Refused => ({ code, state })

/** A request with these field lines. It is accepted, or refused with `error` at the mark. */
export function withFields(name: string, lines: string[], error?: Refused, firstLine = 'POST / HTTP/1.1'): Case {
  const input = `${firstLine}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
  if (error) return request(name, input, error)
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
  })
  return request(name, input, accepted(firstLine, ...fields))
}

/** Refused by the rules beyond syntax. */
export const rule = (code: HeadErrorCode) => refused(code, 'Rules')
