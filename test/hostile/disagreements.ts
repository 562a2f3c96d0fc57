import { METHODS } from 'node:http'
import type { HeadErrorCode } from '../../src/parser/index.ts'

/** `rfc` is the reference reader of these tests; the others are who reads the same bytes behind, or instead of, badass. */
export type Who = 'rfc' | 'node' | 'nginx' | 'haproxy'

/**
 * A kind of head on which somebody and badass are not of one mind.
 *
 * - `takes`: badass refuses it, they do not. Nobody behind badass comes to see it.
 * - `refuses`: badass sends it on, and they answer with an error. The client learns of it; nothing is read in two ways.
 * - `reads X`: both take it, and make another X of it. Each of these has to be harmless, and says why it is.
 */
export interface Disagreement {
  who: Who
  does: 'takes' | 'refuses' | `reads ${string}`
  /** The code that badass refuses it with, or a pattern for the bytes that were sent. */
  heads: HeadErrorCode | RegExp
  why: string
  /** It is so in some releases only. */
  varies: boolean
}

/** The releases that nginx and haproxy were heard of; others may well differ. */
export const RELEASES = { nginx: '1.22', haproxy: '2.6' }

type Row = [does: Disagreement['does'], heads: Disagreement['heads'], why: string, varies?: 'varies']

function of(who: Who, rows: Row[]): Disagreement[] {
  return rows.map(([does, heads, why, varies]) => ({ who, does, heads, why, varies: varies !== undefined }))
}

const RFC = of('rfc', [
  [
    'refuses',
    /^[A-Z]+ \/[^ ]* HTTP/,
    'obs-text, and the likes of | " < % in a path: many clients send them, and readers part the line alike',
  ],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'the preface of HTTP/2 (RFC 9113 3.4), which passes as it is'],
  ['takes', 'BAD_TARGET', 'a URI without an authority, which names no place to go to'],
  ['takes', 'HOST_MISMATCH', 'to be mended with the authority of the target (RFC 9112 3.2.2): badass mends nothing'],
  ['takes', 'BAD_CONTENT_LENGTH', 'a length past 2^53, or even 2^64, where readers round or wrap around'],
  ['takes', 'BAD_HOST', 'a port past 65535; an IPvFuture, of which there is none'],
  ['takes', 'BAD_PREFACE', 'the method PRI is kept for HTTP/2 (RFC 9113 11.6)'],
])

const NODE = of('node', [
  ['takes', 'BAD_TARGET', 'takes a second space, a fragment, and any bytes behind the first of a target'],
  ['takes', 'BAD_VERSION', 'skips spaces before the version'],
  ['takes', 'BAD_START_LINE', 'takes a request line without a version for HTTP/0.9'],
  ['takes', 'UNSUPPORTED_VERSION', 'reads HTTP/0.9 and HTTP/2.0 as if they were HTTP/1'],
  ['takes', 'MISSING_HOST', 'wants Host in HTTP/1.1 only where it is read as that'],
  ['takes', 'BAD_HOST', 'does not look into Host'],
  ['takes', 'DUPLICATE_HOST', 'goes by the first'],
  ['takes', 'HOST_MISMATCH', 'holds the target against nothing'],
  ['takes', 'BARE_LF', 'skips CR and LF of any number and order before a request'],
  ['takes', 'BARE_CR', 'skips CR and LF of any number and order before a request'],
  ['takes', 'EMPTY_LINES', 'skips CR and LF of any number and order before a request'],
  ['takes', 'BAD_TRANSFER_ENCODING', 'asks only that the last of the list is chunked'],
  ['takes', 'ENCODING_IN_HTTP_1_0', 'reads chunked in HTTP/1.0 too'],
  ['takes', 'SPACE_BEFORE_COLON', 'Node 20.19.0 takes spaces before a colon and in a name', 'varies'],
  ['takes', 'EMPTY_FIELD_NAME', 'Node 20.19.0 takes a field without a name', 'varies'],
  ['takes', 'NUL', 'Node 20.19.0 takes any byte for the CR of the last line', 'varies'],
  ['refuses', new RegExp(`^(?!(?:${METHODS.join('|')}) )`), 'knows the methods of a list'],
  ['refuses', /^[A-Z]+ [^ ]*[\x80-\xff]/, 'takes no obs-text in a target; 20.19.0 does', 'varies'],
  ['refuses', /^[A-Z]+ [a-z]+[^a-z:]+[a-z]*:/i, 'takes only letters in a scheme'],
  ['refuses', /\r\nContent-Length:[ \t]*\d+[ \t]*\t/, 'takes no tab behind a length', 'varies'],
  [
    'reads body,isWhole',
    /\r\nTransfer-Encoding: chunked\t\r\n/,
    'takes no tab behind chunked: shows the request, and answers 400',
  ],
])

const NGINX = of('nginx', [
  ['takes', 'BAD_TARGET', 'takes a second space, and a fragment'],
  ['takes', 'BAD_VERSION', 'skips spaces around the version, and leading zeros in it'],
  ['takes', 'BAD_START_LINE', 'takes a request line without a version for HTTP/0.9'],
  ['takes', 'UNSUPPORTED_VERSION', 'takes any HTTP/1.x'],
  ['takes', 'BAD_PREFACE', 'takes PRI for a method as any other'],
  ['takes', 'EMPTY_LINES', 'skips any number of empty lines before a request'],
  ['takes', 'BARE_LF', 'takes LF for a line end'],
  ['takes', 'BARE_CR', 'skips CRs before LF, and some within'],
  ['takes', 'BAD_FIELD_NAME', 'drops the line'],
  ['takes', 'MISSING_COLON', 'drops the line'],
  ['takes', 'BAD_FIELD_VALUE', 'passes control characters on'],
  ['takes', 'BAD_HOST', 'looks into Host for other reasons'],
  ['takes', 'HOST_MISMATCH', 'goes by the target'],
  ['refuses', /^(?![A-Z_-]+ )/, 'knows methods of capitals, - and _'],
  ['refuses', /^(?:CONNECT|TRACE) /, 'takes neither CONNECT nor TRACE'],
  ['refuses', /^OPTIONS \* /, 'knows no asterisk-form'],
  [
    'refuses',
    /^[A-Z]+ [^ ]*(?:%(?![0-9a-f]{2})|%00|\/\.\.|\/%2e%2e)/i,
    'decodes the path: no bad escape, no NUL, nothing above the root',
  ],
  ['refuses', /\r\n(?:Host|Transfer-Encoding|Content-Length):[^\r]*\t/, 'takes no tab for white space'],
  ['refuses', /\r\nTransfer-Encoding: *(?!chunked *\r)/, 'knows no coding but chunked, in one field'],
  ['refuses', /\r\nHost: ?(?:\.|[^\r]*\.\.)/, 'takes no empty label in Host'],
  ['refuses', /\r\nHost: *\r\n/, 'takes no empty Host'],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'reads HTTP/1 only, as it is set up here'],
  [
    'reads target',
    /^[A-Z]+ [a-z][^ /]*:\/\//i,
    'makes an origin-form of an absolute-form, as it should; Host has been found the same',
  ],
])

const HAPROXY = of('haproxy', [
  ['takes', 'BAD_METHOD', 'takes a tab for a space'],
  ['takes', 'BAD_TARGET', 'takes a second space, and a fragment'],
  ['takes', 'BAD_VERSION', 'skips spaces before the version'],
  ['takes', 'UNSUPPORTED_VERSION', 'takes any version of two digits'],
  ['takes', 'EMPTY_LINES', 'skips any number of empty lines before a request'],
  ['takes', 'BARE_LF', 'takes LF for a line end'],
  ['takes', 'NUL', 'passes NUL on in values'],
  ['takes', 'BAD_FIELD_VALUE', 'passes control characters on'],
  ['takes', 'OBS_FOLD', 'joins folded lines with spaces'],
  ['takes', 'MISSING_HOST', 'leaves it to the backend'],
  ['takes', 'BAD_HOST', 'does not look into Host where the target has no authority'],
  ['takes', 'DUPLICATE_HOST', 'makes one of those that are equal'],
  ['takes', 'BAD_CONTENT_LENGTH', 'makes one of a list of equal lengths; with chunked, drops it'],
  ['takes', 'DUPLICATE_CONTENT_LENGTH', 'makes one of those that are equal'],
  ['takes', 'LENGTH_AND_ENCODING', 'drops the length (RFC 9112 6.3)'],
  ['takes', 'BAD_TRANSFER_ENCODING', 'takes empty elements of the list'],
  ['takes', 'ENCODING_IN_HTTP_1_0', 'reads chunked in HTTP/1.0 too'],
  ['refuses', /^[A-Z]+ [^ ]*[\x80-\xff]/, 'takes no obs-text in a target; 20.19.0 does', 'varies'],
  ['refuses', /\r\nTransfer-Encoding:[ \t]*(?!chunked[ \t]*\r)/, 'knows no coding but chunked, in one field'],
  ['refuses', /^GET [^\n]*HTTP\/1\.0\r\n.*\r\nContent-Length: /s, 'takes no GET of HTTP/1.0 with a body'],
  ['refuses', /^[A-Z]+ \w+:\/\/[^ /]*\?/, 'takes no query right behind the authority'],
  ['refuses', /^CONNECT /, 'holds Host against the target of CONNECT too'],
  ['refuses', /\r\nHost: example.com:080\r\n/, 'holds Host against the target as text'],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'takes the preface of HTTP/2 only where the rest of it follows'],
  ['reads target', /^[A-Z]+ https?:\/\/[^ /]*:(?:80|443)?[/ ]/, 'leaves out a default port'],
  ['reads target,host', /^[A-Z]+ https?:\/\/[^ /]*:80 /, 'leaves out a default port, and writes Host after the target'],
  ['reads host', /^CONNECT example\.com:80 HTTP\/1\.1\r\nHost: example\.com:80\r\n/, 'leaves out a default port'],
])

export const DISAGREEMENTS: readonly Disagreement[] = [...RFC, ...NODE, ...NGINX, ...HAPROXY]
