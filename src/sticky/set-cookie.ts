/** Reads Set-Cookie fields as browsers do (RFC 6265 5.1.1, 5.2). */

/** Trims SP and HTAB, the only white space here (RFC 6265 5.2). String.trim() would also remove the byte 0xA0. */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

/** Name and value of a pair in Cookie or Set-Cookie; the value is undefined without `=`. */
export function splitPair(pair: string): [name: string, value: string | undefined] {
  const equals = pair.indexOf('=')
  if (equals < 0) return [trimBlanks(pair), undefined]
  return [trimBlanks(pair.slice(0, equals)), trimBlanks(pair.slice(equals + 1))]
}

/** The attributes of a Set-Cookie: everything from its first semicolon, quoted or not (RFC 6265 5.2). */
export function scopeOf(setCookie: string): string {
  const semicolon = setCookie.indexOf(';')
  return semicolon < 0 ? '' : setCookie.slice(semicolon)
}

/** The attributes in order, names in lower case. */
export function parseAttributes(scope: string): [name: string, value: string][] {
  return scope.split(';').map((attribute) => {
    const [name, value = ''] = splitPair(attribute)
    return [name.toLowerCase(), value]
  })
}

/** The name of the cookie; empty if it has none. */
export function nameOf(setCookie: string): string {
  const [name, value] = splitPair(setCookie.slice(0, setCookie.length - scopeOf(setCookie).length))
  return value === undefined ? '' : name
}

/**
 * The remaining lifetime of a cookie in ms: 0 or less deletes it, undefined is a session cookie. Max-Age wins over
 * Expires; the last valid one of each counts (RFC 6265 5.2.1, 5.2.2, 5.3).
 */
export function lifeOf(setCookie: string): number | undefined {
  let expires: number | undefined
  let maxAge: number | undefined
  for (const [name, value] of parseAttributes(scopeOf(setCookie))) {
    if (name === 'max-age' && /^-?\d+$/.test(value)) maxAge = Number(value)
    else if (name === 'expires') expires = parseCookieDate(value) ?? expires
  }
  if (maxAge !== undefined) return maxAge * 1000
  return expires === undefined ? undefined : expires - Date.now()
}

/** The Path of a Set-Cookie: the last one; undefined if it does not begin with `/` (RFC 6265 5.2.4). */
export function pathOf(setCookie: string): string | undefined {
  const path = new Map(parseAttributes(scopeOf(setCookie))).get('path')
  return path?.startsWith('/') ? path : undefined
}

const DELIMITERS = /[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** Parts of a date, in the order in which a token is matched: time, day of month, month, year. */
const DATE_PARTS = [
  /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)/,
  /^(\d{1,2})(?!\d)/,
  new RegExp(`^(${MONTHS.join('|')})`, 'i'),
  /^(\d{2,4})(?!\d)/,
]

/**
 * Parses a cookie date into ms since 1970; undefined if invalid (RFC 6265 5.1.1). Date.parse accepts other dates: '0'
 * and '60' are years to it, and it applies time zones.
 */
export function parseCookieDate(text: string): number | undefined {
  const found: (RegExpExecArray | null)[] = DATE_PARTS.map(() => null)
  for (const token of text.split(DELIMITERS)) {
    // Each part is taken from the first token that matches it.
    const at = DATE_PARTS.findIndex((part, i) => !found[i] && part.test(token))
    if (at >= 0) found[at] = DATE_PARTS[at]!.exec(token)
  }
  const [time, day, month, year] = found
  if (!time || !day || !month || !year) return undefined
  const [hours = 0, minutes = 0, seconds = 0] = time.slice(1).map(Number)
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const months = MONTHS.indexOf(month[1]!.toLowerCase())
  const date = new Date(Date.UTC(fullYear(Number(year[1])), months, Number(day[1]), hours, minutes, seconds))
  // Date.UTC turns February 30 into March 2.
  return date.getUTCDate() === Number(day[1]) && date.getUTCFullYear() >= 1601 ? date.getTime() : undefined
}

function fullYear(year: number): number {
  if (year >= 100) return year
  return year < 70 ? 2000 + year : 1900 + year
}
