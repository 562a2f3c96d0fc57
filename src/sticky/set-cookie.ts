/** What a Set-Cookie says, read as browsers read it (RFC 6265 5.1.1, 5.2). */

/** Only SP and HTAB are white space here (RFC 6265 5.2): String.trim() would take the byte 0xA0 with it. */
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

/** Name and value of one pair, as both Cookie and Set-Cookie have them; no value where there is no '='. */
export function splitPair(pair: string): [name: string, value: string | undefined] {
  const equals = pair.indexOf('=')
  if (equals < 0) return [trimBlanks(pair), undefined]
  return [trimBlanks(pair.slice(0, equals)), trimBlanks(pair.slice(equals + 1))]
}

/** A Set-Cookie from its first semicolon on, as it stands: quotes do not hide one (RFC 6265 5.2). */
export function scopeOf(setCookie: string): string {
  const semicolon = setCookie.indexOf(';')
  return semicolon < 0 ? '' : setCookie.slice(semicolon)
}

/** The attributes in order, their names in lower case. */
export function parseAttributes(scope: string): [name: string, value: string][] {
  return scope.split(';').map((attribute) => {
    const [name, value = ''] = splitPair(attribute)
    return [name.toLowerCase(), value]
  })
}

/**
 * Whether a Set-Cookie takes its cookie away. Max-Age goes before Expires; of several, the last counts, and one that
 * cannot be read is as if it were not there (RFC 6265 5.2.1, 5.2.2, 5.3).
 */
export function isDeletion(setCookie: string): boolean {
  let expires: number | undefined
  let maxAge: number | undefined
  for (const [name, value] of parseAttributes(scopeOf(setCookie))) {
    if (name === 'max-age' && /^-?\d+$/.test(value)) maxAge = Number(value)
    else if (name === 'expires') expires = parseCookieDate(value) ?? expires
  }
  if (maxAge !== undefined) return maxAge <= 0
  return expires !== undefined && expires <= Date.now()
}

const DELIMITERS = /[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** The parts of a date, in the order in which a token is tried for each: time, day of the month, month, year. */
const DATE_PARTS = [
  /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)/,
  /^(\d{1,2})(?!\d)/,
  new RegExp(`^(${MONTHS.join('|')})`, 'i'),
  /^(\d{2,4})(?!\d)/,
]

/**
 * A cookie's date in ms since 1970, or undefined where browsers read none (RFC 6265 5.1.1). Date.parse reads others:
 * '0' is a date to it, '60' is 1960, and a time zone moves the clock.
 */
export function parseCookieDate(text: string): number | undefined {
  const found: (RegExpExecArray | null)[] = DATE_PARTS.map(() => null)
  for (const token of text.split(DELIMITERS)) {
    // The first token that can be a part is that part, and no other.
    const at = DATE_PARTS.findIndex((part, i) => !found[i] && part.test(token))
    if (at >= 0) found[at] = DATE_PARTS[at]!.exec(token)
  }
  const [time, day, month, year] = found
  if (!time || !day || !month || !year) return undefined
  const [hours = 0, minutes = 0, seconds = 0] = time.slice(1).map(Number)
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const months = MONTHS.indexOf(month[1]!.toLowerCase())
  const date = new Date(Date.UTC(fullYear(Number(year[1])), months, Number(day[1]), hours, minutes, seconds))
  // A day that the month has not would have moved on into another one.
  return date.getUTCDate() === Number(day[1]) && date.getUTCFullYear() >= 1601 ? date.getTime() : undefined
}

function fullYear(year: number): number {
  if (year >= 100) return year
  return year < 70 ? 2000 + year : 1900 + year
}
