// Formats numbers, times and states. Does not touch the page.

const NARROW = '\u202f'
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
const whole = new Intl.NumberFormat('en')

/** A count with thousands separators. */
export function count(n) {
  return whole.format(n)
}

/** A rate per second, with decimals if it is small. */
export function perSecond(n) {
  if (n === 0) return '0'
  if (n < 0.095) return '<0.1'
  return n < 9.95 ? n.toFixed(1) : count(Math.round(n))
}

/** Bytes as [number, unit] with at most three digits. */
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

/** A duration in seconds, in its two largest units. */
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

/** A time so many seconds ago. */
export function ago(seconds) {
  return seconds < 1 ? 'just now' : `${duration(seconds)} ago`
}

/** The number of backends that are up, draining or down. */
export function countStates(backends) {
  const down = backends.filter(({ state }) => state === 'down').length
  const ejected = backends.filter(({ state, ejectedUntil }) => state === 'up' && ejectedUntil).length
  const draining = backends.filter(
    ({ state, draining, ejectedUntil }) => state === 'up' && !ejectedUntil && draining,
  ).length
  return { up: backends.length - down - ejected - draining, draining, ejected, down }
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`
}
