// Numbers and times as people read them. Nothing here knows of the page.

const NARROW = '\u202f'
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
const whole = new Intl.NumberFormat('en')

/** A count with its thousands apart. */
export function count(n) {
  return whole.format(n)
}

/** Something a second: exact where it is small. */
export function perSecond(n) {
  if (n === 0) return '0'
  if (n < 0.095) return '<0.1'
  return n < 9.95 ? n.toFixed(1) : count(Math.round(n))
}

/** Bytes as [number, unit], in three digits or fewer. */
export function bytesParts(n) {
  let unit = 0
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000
    unit++
  }
  const digits = unit === 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2
  return [n.toFixed(digits), UNITS[unit]]
}

export function bytes(n) {
  return bytesParts(n).join(NARROW)
}

/** A time of so many seconds, in its two greatest units. */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds))
  const [d, h, min] = [Math.floor(s / 86_400), Math.floor(s / 3_600) % 24, Math.floor(s / 60) % 60]
  const parts = d
    ? [
        [d, 'd'],
        [h, 'h'],
      ]
    : h
      ? [
          [h, 'h'],
          [min, 'min'],
        ]
      : min
        ? [[min, 'min']]
        : [[s, 's']]
  return parts
    .filter(([n], i) => i === 0 || n > 0)
    .map(([n, unit]) => n + NARROW + unit)
    .join(' ')
}

/** How long ago so many seconds are. */
export function ago(seconds) {
  return seconds < 1 ? 'just now' : `${duration(seconds)} ago`
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`
}
