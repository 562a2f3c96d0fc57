import type { CookieInput } from './cookies.ts'
import type { EditsInput } from './edits.ts'
import type { ScannerInput } from './scanner.ts'

/** Inputs that found a bug or reach a rare branch. Every run tries them again. */
export const SCANNER_CASES: ScannerInput[] = [
  { kind: 'request', bytes: 'GET /path HTTP/1.1\r\nHost: example.com\r\n\rW\n', cuts: [] },
  { kind: 'request', bytes: 'GET / HTTP/1.1\nHost: a\r\n\r\n', cuts: [15] },
  { kind: 'request', bytes: '\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', cuts: [1, 3] },
  { kind: 'request', bytes: 'GET http://a/ HTTP/1.0\r\n\r\nCONNECT b:1 HTTP/1.0\r\nHost: b:1\r\n\r\n', cuts: [] },
  { kind: 'response', bytes: 'HTTP/1.1 100 \r\n\r\n\n', cuts: [] },
]
export const EDITS_CASES: EditsInput[] = [
  {
    kind: 'request',
    head: 'CONNECT a:80 HTTP/1.1\r\nContent-Length:0\r\nHost:a\r\n\r\n',
    edits: [
      { how: 'append', name: 'Host', value: '\r' },
      { how: 'first', value: '' },
    ],
  },
  {
    kind: 'response',
    head: 'HTTP/1.1 200\r\n__proto__: \t\r\n\r\n',
    edits: [
      { how: 'assign', name: '__proto__', value: ['', '\ud800'] },
      { how: 'drop', name: '__PROTO__:' },
    ],
  },
]
export const COOKIE_CASES: CookieInput[] = [
  { name: 'x', secret: ' ', value: 'home', theirs: '', changes: [['replace', 1623484999, 'a']], others: '' },
  { name: '__proto__', secret: 's', value: '"', theirs: ';', changes: [['insert', 10, '"']], others: '__proto__="' },
]
