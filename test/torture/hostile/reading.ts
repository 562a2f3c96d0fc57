import type { Head } from '../../../src/parser/index.ts'
import { SECOND } from './corpus.ts'

/** How a parser reads a stream. Strings are Latin-1. */
export interface Reading {
  method: string
  target: string
  host: string | undefined
  body: string
  /** Whether the body is complete. */
  isWhole: boolean
  /** The target of the next request, if the parser reads one. */
  next: string | undefined
}

/** Makes a reading from a head and the bytes after it. */
export function readingOf(head: Pick<Head, 'method' | 'target' | 'version' | 'get'>, rest: string): Reading {
  const { method, target } = head
  const [body, after] = bodyOf(head, rest)
  // Parsers skip empty lines before a request (RFC 9112 2.2).
  const goesOn = after?.replace(/^[\r\n]+/, '') === SECOND
  return {
    method,
    target,
    host: head.get('host'),
    body,
    isWhole: after !== undefined,
    next: goesOn ? '/second' : undefined,
  }
}

/** The body and the bytes after it; undefined if the body does not end. */
function bodyOf(head: Pick<Head, 'method' | 'get'>, rest: string): [body: string, after: string | undefined] {
  if (head.method === 'CONNECT') return ['', '']
  if (head.get('transfer-encoding') !== undefined) return dechunk(rest)
  const length = Number(head.get('content-length') ?? 0)
  return [rest.slice(0, length), rest.length < length ? undefined : rest.slice(length)]
}

/** Reads a chunked body without extensions and trailers (RFC 9112 7.1). */
export function dechunk(text: string): [body: string, after: string | undefined] {
  let body = ''
  for (let from = 0; ; ) {
    const [line, digits] = /^([\da-fA-F]{1,8})\r\n/.exec(text.slice(from, from + 10)) ?? []
    if (line === undefined) return [body, undefined]
    const length = Number.parseInt(digits!, 16)
    const start = from + line.length
    if (text.slice(start + length, start + length + 2) !== '\r\n') return [body, undefined]
    body += text.slice(start, start + length)
    from = start + length + 2
    if (length === 0) return [body, text.slice(from)]
  }
}
