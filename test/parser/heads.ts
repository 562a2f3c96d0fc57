import { expect } from 'vitest'
import { type Head, parseHead } from '../../src/parser/index.ts'
import { latin1 } from './feed.ts'

export const REQUEST =
  'GET /path?q HTTP/1.1\r\nHost:  a.example \r\nX-One:1\r\nCookie: a=1\r\nx-one: \t2\r\nEmpty:\r\n\r\n'
export const RESPONSE = 'HTTP/1.1 404 Not Found\r\nSet-Cookie: a=1\r\nX:y\r\nset-cookie: b=2\r\n\r\n'

export const request = (text = REQUEST) => parseHead(latin1(text), 'request')
export const response = (text = RESPONSE) => parseHead(latin1(text), 'response')
export const sent = (head: Head) => head.bytes().toString('latin1')

/** Matches a TypeError whose message is exactly this. */
export const typeError = (message: string) => expect.objectContaining({ constructor: TypeError, message })

export function thrownBy(write: () => unknown): unknown {
  try {
    write()
  } catch (error) {
    return error
  }
  return undefined
}
