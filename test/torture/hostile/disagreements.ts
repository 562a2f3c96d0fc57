import { METHODS } from 'node:http'
import type { HeadErrorCode } from '../../../src/parser/index.ts'

/** `rfc` is the reference parser of these tests. The others are servers that may stand behind badass. */
export type Who = 'rfc' | 'node' | 'nginx' | 'haproxy'

/**
 * A kind of head on which another parser and badass disagree.
 *
 * - `accepts`: badass refuses it, the other accepts it. A server behind badass never gets it.
 * - `refuses`: badass forwards it, the other answers with an error. That is harmless.
 * - `reads X`: both accept it, but read a different X. `why` tells why that is harmless.
 */
export interface Disagreement {
  who: Who
  does: 'accepts' | 'refuses' | `reads ${string}`
  /** The code with which badass refuses it, or a pattern for the sent bytes. */
  heads: HeadErrorCode | RegExp
  why: string
  /** Some releases only. */
  varies: boolean
}

/** The releases of nginx and haproxy that the list is about. Others may differ. */
export const RELEASES = { nginx: '1.22', haproxy: '2.6' }

type Row = [does: Disagreement['does'], heads: Disagreement['heads'], why: string, varies?: 'varies']

function of(who: Who, rows: Row[]): Disagreement[] {
  return rows.map(([does, heads, why, varies]) => ({ who, does, heads, why, varies: varies !== undefined }))
}

const RFC = of('rfc', [
  [
    'refuses',
    /^[A-Z]+ \/[^ ]* HTTP/,
    'obs-text and bytes such as | " < % in a path: many clients send them, and parsers agree about them',
  ],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'the HTTP/2 preface (RFC 9113 3.4), which passes unchanged'],
  ['accepts', 'BAD_TARGET', 'a URI without an authority'],
  ['accepts', 'BAD_CONTENT_LENGTH', 'a length of 2^53 or more, which parsers may round or wrap'],
  ['accepts', 'BAD_HOST', 'a port above 65535; an IPvFuture, which nobody uses'],
  ['accepts', 'BAD_PREFACE', 'the method PRI is reserved for HTTP/2 (RFC 9113 11.6)'],
])

const NODE = of('node', [
  ['accepts', 'BAD_TARGET', 'accepts a second space, a fragment, and any bytes after the first of a target'],
  ['accepts', 'BAD_VERSION', 'skips spaces before the version'],
  ['accepts', 'BAD_START_LINE', 'reads a request line without a version as HTTP/0.9'],
  ['accepts', 'UNSUPPORTED_VERSION', 'reads HTTP/0.9 and HTTP/2.0 as if they were HTTP/1'],
  ['accepts', 'MISSING_HOST', 'requires Host only if it reads the version as HTTP/1.1'],
  ['accepts', 'BAD_HOST', 'does not check Host'],
  ['accepts', 'DUPLICATE_HOST', 'uses the first'],
  ['accepts', 'BARE_LF', 'skips any CR and LF before a request'],
  ['accepts', 'BARE_CR', 'skips any CR and LF before a request'],
  ['accepts', 'EMPTY_LINES', 'skips any CR and LF before a request'],
  ['accepts', 'BAD_TRANSFER_ENCODING', 'only requires that chunked is last'],
  ['accepts', 'ENCODING_IN_HTTP_1_0', 'reads chunked in HTTP/1.0 too'],
  ['accepts', 'SPACE_BEFORE_COLON', 'Node 20.19.0 accepts spaces before a colon and in a name', 'varies'],
  ['accepts', 'EMPTY_FIELD_NAME', 'Node 20.19.0 accepts a field without a name', 'varies'],
  ['accepts', 'NUL', 'Node 20.19.0 accepts any byte for the CR of the last line', 'varies'],
  ['refuses', new RegExp(`^(?!(?:${METHODS.join('|')}) )`), 'accepts a fixed list of methods'],
  ['refuses', /^[A-Z]+ [^ ]*[\x80-\xff]/, 'refuses obs-text in a target; Node 20.19.0 accepts it', 'varies'],
  ['refuses', /^[A-Z]+ [a-z]+[^a-z:]+[a-z]*:/i, 'accepts only letters in a scheme'],
  ['refuses', /\r\nContent-Length:[ \t]*\d+[ \t]*\t/, 'refuses a tab after a length', 'varies'],
  [
    'reads body,isWhole',
    /\r\nTransfer-Encoding: chunked\t\r\n/,
    'refuses a tab after chunked with a 400, after it has shown the request',
  ],
])

const NGINX = of('nginx', [
  ['accepts', 'BAD_TARGET', 'accepts a second space and a fragment'],
  ['accepts', 'BAD_VERSION', 'skips spaces around the version and leading zeros in it'],
  ['accepts', 'BAD_START_LINE', 'reads a request line without a version as HTTP/0.9'],
  ['accepts', 'UNSUPPORTED_VERSION', 'accepts any HTTP/1.x'],
  ['accepts', 'BAD_PREFACE', 'accepts the method PRI'],
  ['accepts', 'EMPTY_LINES', 'skips any number of empty lines before a request'],
  ['accepts', 'BARE_LF', 'accepts LF as a line end'],
  ['accepts', 'BARE_CR', 'skips CRs before LF, and some others'],
  ['accepts', 'BAD_FIELD_NAME', 'drops the line'],
  ['accepts', 'MISSING_COLON', 'drops the line'],
  ['accepts', 'BAD_FIELD_VALUE', 'forwards control characters'],
  ['accepts', 'BAD_HOST', 'has other checks of Host'],
  ['refuses', /^(?![A-Z_-]+ )/, 'accepts capitals, - and _ in methods'],
  ['refuses', /^(?:CONNECT|TRACE) /, 'refuses CONNECT and TRACE'],
  ['refuses', /^[A-Z]+ [a-z]+:\/\/[^ /]*[!$&'()*+,;=_~]/i, 'accepts letters, digits, . and - in the host of a target'],
  ['refuses', /^OPTIONS \* /, 'refuses the asterisk-form'],
  [
    'refuses',
    /^[A-Z]+ [^ ]*(?:%(?![0-9a-f]{2})|%00|\/\.\.|\/%2e%2e)/i,
    'decodes the path, and refuses bad escapes, NUL and paths above the root',
  ],
  ['refuses', /\r\n(?:Host|Transfer-Encoding|Content-Length):[^\r]*\t/, 'refuses a tab as white space'],
  ['refuses', /\r\nTransfer-Encoding: *(?!chunked *\r)/, 'accepts only chunked, in one field'],
  ['refuses', /\r\nHost: ?(?:\.|[^\r]*\.\.)/, 'refuses an empty label in Host'],
  ['refuses', /\r\nHost: *\r\n/, 'refuses an empty Host'],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'reads HTTP/1 only with this configuration'],
  [
    'reads target',
    /^[A-Z]+ [a-z][^ /]*:\/\//i,
    'turns an absolute-form into an origin-form, as it should; Host is the same',
  ],
])

const HAPROXY = of('haproxy', [
  ['accepts', 'BAD_METHOD', 'accepts a tab as a space'],
  ['accepts', 'BAD_TARGET', 'accepts a second space and a fragment'],
  ['accepts', 'BAD_VERSION', 'skips spaces before the version'],
  ['accepts', 'UNSUPPORTED_VERSION', 'accepts any version of two digits'],
  ['accepts', 'EMPTY_LINES', 'skips any number of empty lines before a request'],
  ['accepts', 'BARE_LF', 'accepts LF as a line end'],
  ['accepts', 'NUL', 'forwards NUL in values'],
  ['accepts', 'BAD_FIELD_VALUE', 'forwards control characters'],
  ['accepts', 'OBS_FOLD', 'joins folded lines with spaces'],
  ['accepts', 'MISSING_HOST', 'leaves the check to the backend'],
  ['accepts', 'BAD_HOST', 'does not check Host if the target has no authority'],
  ['accepts', 'DUPLICATE_HOST', 'merges equal values'],
  ['accepts', 'BAD_CONTENT_LENGTH', 'merges a list of equal lengths; drops it with chunked'],
  ['accepts', 'DUPLICATE_CONTENT_LENGTH', 'merges equal values'],
  ['accepts', 'LENGTH_AND_ENCODING', 'drops the length (RFC 9112 6.3)'],
  ['accepts', 'BAD_TRANSFER_ENCODING', 'accepts empty elements'],
  ['accepts', 'ENCODING_IN_HTTP_1_0', 'reads chunked in HTTP/1.0 too'],
  ['refuses', /^[A-Z]+ [^ ]*[\x80-\xff]/, 'refuses obs-text in a target', 'varies'],
  ['refuses', /\r\nTransfer-Encoding:[ \t]*(?!chunked[ \t]*\r)/, 'accepts only chunked, in one field'],
  ['refuses', /^GET [^\n]*HTTP\/1\.0\r\n.*\r\nContent-Length: /s, 'refuses an HTTP/1.0 GET with a body'],
  ['refuses', /^[A-Z]+ \w+:\/\/[^ /]*\?/, 'refuses a query right after the authority'],
  ['refuses', /^CONNECT /, 'compares Host with the target of CONNECT too'],
  ['refuses', /\r\nHost: example.com:080\r\n/, 'compares Host with the target as text'],
  ['refuses', /^PRI \* HTTP\/2\.0\r\n\r\n/, 'accepts the HTTP/2 preface only if SETTINGS follows'],
  ['reads target', /^[A-Z]+ https?:\/\/[^ /]*:(?:80|443)?[/ ]/, 'leaves out a default port'],
  ['reads target,host', /^[A-Z]+ https?:\/\/[^ /]*:80 /, 'leaves out a default port, and sets Host from the target'],
  ['reads host', /^CONNECT example\.com:80 HTTP\/1\.1\r\nHost: example\.com:80\r\n/, 'leaves out a default port'],
])

export const DISAGREEMENTS: readonly Disagreement[] = [...RFC, ...NODE, ...NGINX, ...HAPROXY]
