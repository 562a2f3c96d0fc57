import net from 'node:net'

/**
 * A reference parser for request heads (RFC 9110, 9112, 3986), made of patterns over the whole head. It shares no code
 * with the scanner.
 */

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const VALUE = '(?:[!-~\\x80-\\xff](?:[\\t -~\\x80-\\xff]*[!-~\\x80-\\xff])?)?'
const HEAD = new RegExp(
  `^(?:\\r\\n)?(${TOKEN}) ([!-~\\x80-\\xff]+) HTTP/([0-9]\\.[0-9])\\r\\n((?:${TOKEN}:[\\t ]*${VALUE}[\\t ]*\\r\\n)*)\\r\\n`,
)
const FIELD = new RegExp(`^(${TOKEN}):[\\t ]*(${VALUE})[\\t ]*$`)

const HEX = '%[0-9A-Fa-f]{2}'
const PCHAR = `(?:[A-Za-z0-9\\-._~!$&'()*+,;=:@]|${HEX})`
const REG_NAME = `(?:[A-Za-z0-9\\-._~!$&'()*+,;=]|${HEX})`
const LITERAL = "\\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+)\\]"
const HOST_PORT = new RegExp(`^(${LITERAL}|${REG_NAME}*)(?::([0-9]*))?$`)
const QUERY = `(?:\\?(?:${PCHAR}|[/?])*)?`
const ORIGIN = new RegExp(`^(?:/${PCHAR}*)+${QUERY}$`)
const HTTP_URI = new RegExp(`^https?://([^/?#]*)(?:/${PCHAR}*)*${QUERY}$`, 'i')
const URI = new RegExp(`^[A-Za-z][A-Za-z0-9+.\\-]*:(?:${PCHAR}|[/?])+$`)

export type Verdict =
  /** The RFC requires a refusal or a change, so the bytes must not be forwarded unchanged. */
  | 'must refuse'
  /** Outside the grammar, or without a defined meaning. */
  | 'should refuse'
  | 'accept'

/** What a proxy that changes nothing must do with the stream. */
export function judge(stream: string): { verdict: Verdict; why: string } {
  const must = (why: string) => ({ verdict: 'must refuse' as const, why })
  const [whole, method = '', target = '', version = '', block = ''] = HEAD.exec(stream) ?? []
  if (whole === undefined) return must('outside the grammar (RFC 9112 2.1, 2.2, 3, 5)')
  const fields = block
    .split('\r\n')
    .slice(0, -1)
    .map((line) => FIELD.exec(line)!)
  const valuesOf = (name: string) =>
    fields.filter((field) => field[1]!.toLowerCase() === name).map((field) => field[2]!)

  const hosts = valuesOf('host')
  if (hosts.length > 1) return must('more than one Host (RFC 9112 3.2)')
  if (hosts.length === 0 && version === '1.1') return must('no Host (RFC 9112 3.2)')
  if (hosts.some((host) => !isHost(host))) return must('a bad Host (RFC 9112 3.2)')

  const codings = valuesOf('transfer-encoding')
    .join(',')
    .split(',')
    .map((one) => one.replace(/^[\t ]+|[\t ]+$/g, ''))
  const lengths = valuesOf('content-length')
  if (valuesOf('transfer-encoding').length > 0) {
    if (lengths.length > 0) return must('Content-Length must be removed (RFC 9112 6.3)')
    if (version < '1.1') return must('faulty framing (RFC 9112 6.1)')
    if (codings.at(-1)?.toLowerCase() !== 'chunked') return must('does not end in chunked (RFC 9112 6.3)')
    if (!codings.every((one) => new RegExp(`^${TOKEN}$`).test(one)))
      return { verdict: 'should refuse', why: 'not a list of codings' }
    if (codings.filter((one) => one.toLowerCase() === 'chunked').length > 1)
      return { verdict: 'should refuse', why: 'chunked twice' }
  }
  if (lengths.length > 1) return must('Content-Length values must be merged (RFC 9110 8.6)')
  if (lengths.some((length) => !/^[0-9]+$/.test(length))) return must('a bad Content-Length (RFC 9112 6.3)')

  if (!/^1\.[01]$/.test(version)) return { verdict: 'should refuse', why: 'another version (RFC 9110 2.5)' }
  if (!isTarget(method, target)) return { verdict: 'should refuse', why: 'a bad target (RFC 9112 3.2)' }
  return { verdict: 'accept', why: '' }
}

function isHost(text: string): boolean {
  const [, host = '', port] = HOST_PORT.exec(text) ?? []
  if (!HOST_PORT.test(text) || (host === '' && port !== undefined)) return false
  return !/^\[[^vV]/.test(host) || net.isIPv6(host.slice(1, -1))
}

function isTarget(method: string, target: string): boolean {
  if (method === 'CONNECT') return isHost(target) && /:[0-9]+$/.test(target)
  if (target === '*') return method === 'OPTIONS'
  if (ORIGIN.test(target)) return true
  const [, authority] = HTTP_URI.exec(target) ?? []
  if (authority !== undefined) return isHost(authority) && authority !== ''
  return !/^https?:/i.test(target) && URI.test(target)
}
