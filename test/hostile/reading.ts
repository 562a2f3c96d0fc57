import type { Head } from '../../src/parser/index.ts'
import { SECOND } from './corpus.ts'

/** What a reader makes of a stream of bytes: of its first request the start line, Host and body. Strings are Latin-1. */
export interface Reading {
  method: string
  target: string
  host: string | undefined
  body: string
  /** Whether all of the body is there. */
  isWhole: boolean
  /** The target of the request that it reads next, where it goes on. */
  next: string | undefined
}

/** A reading by what a head says of its framing; `rest` is what comes behind the head. */
export function readingOf(head: Pick<Head, 'method' | 'target' | 'version' | 'get'>, rest: string): Reading {
  const { method, target } = head
  const [body, after] = bodyOf(head, rest)
  // Readers skip empty lines before a request (RFC 9112 2.2).
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

/** The body, and what comes behind it; undefined where the body does not end. */
function bodyOf(head: Pick<Head, 'method' | 'get'>, rest: string): [body: string, after: string | undefined] {
  if (head.method === 'CONNECT') return ['', '']
  if (head.get('transfer-encoding') !== undefined) return dechunk(rest)
  const length = Number(head.get('content-length') ?? 0)
  return [rest.slice(0, length), rest.length < length ? undefined : rest.slice(length)]
}

/** Reads a chunked body (RFC 9112 7.1), as the corpus and right servers write it: without extensions and trailers. */
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
