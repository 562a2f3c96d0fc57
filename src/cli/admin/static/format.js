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

/** A time to wait for, in seconds: '840 ms', '1.25 s'. */
export function latency(seconds) {
  if (seconds >= 99.5) return duration(seconds)
  if (seconds >= 0.9995) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)}${NARROW}s`
  const ms = seconds * 1000
  return `${ms > 0 && ms < 9.95 ? ms.toFixed(1) : Math.round(ms)}${NARROW}ms`
}

/** The buckets of the histograms end there, in seconds: a longer time is not known. */
const MOST_S = { firstByte: 5, whole: 10 }

export function firstByte(seconds) {
  return seconds >= MOST_S.firstByte ? `≥${NARROW}${MOST_S.firstByte}${NARROW}s` : latency(seconds)
}

export function wholeRequest(seconds) {
  return seconds >= MOST_S.whole ? `≥${NARROW}${MOST_S.whole}${NARROW}s` : latency(seconds)
}

/** The time of day of ms since 1970. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB')
}

/** Whether a backend is 'up', 'draining', 'ejected' or 'down': the one that matters most. */
export function conditionOf({ state, draining, ejectedUntil }) {
  if (state === 'down') return 'down'
  if (ejectedUntil) return 'ejected'
  return draining ? 'draining' : 'up'
}

/** The number of backends in each condition. */
export function countStates(backends) {
  const counts = { up: 0, draining: 0, ejected: 0, down: 0 }
  for (const backend of backends) counts[conditionOf(backend)]++
  return counts
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`
}
