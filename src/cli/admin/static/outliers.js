// Finds the backends of a pool that are slow or fail, compared with the others, and since when. Does not touch the page.

/**
 * A backend is slow from so many times the median p99 of its pool on, and from at least so many seconds. A bucket of the
 * histogram ends there: between two ends, a p99 of few requests says little.
 */
const SLOW_TIMES = 3
const SLOW_S = 0.25
/** It fails from so many errors per second on, and from so many times the median of its pool. */
const FAILING_TIMES = 3
const FAILING_RATE = 0.1
/** A median of fewer backends says nothing. */
const LEAST_POOL = 3
/** Of the last samples, so many must be over the threshold: one may be chance. As many under it in a row end the time. */
const SAMPLES = 15
const ENOUGH = 5

/** Errors are counted in so many samples together, as percentiles are: 10 s. */
const TOGETHER = 5

/** The middle of the known values, the lower one of two. Null if none is known. */
export function medianOf(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b)
  return known.length > 0 ? known[Math.floor((known.length - 1) / 2)] : null
}

/** Index of the first sample of the time over the threshold that lasts until now. -1 if there is no such time. */
export function beganAt(values, threshold) {
  if (values.slice(-SAMPLES).filter((value) => value > threshold).length < ENOUGH) return -1
  let [began, calm] = [-1, 0]
  for (let i = values.length - 1; i >= 0; i--) {
    if (values[i] > threshold) [began, calm] = [i, 0]
    else if (began >= 0 && values[i] !== null && ++calm === ENOUGH) break
  }
  return began
}

/** The means of so many samples up to each. Null where that one is unknown. */
export function smoothed(values) {
  return values.map((value, i) => (value === null ? null : meanOf(values.slice(Math.max(0, i + 1 - TOGETHER), i + 1))))
}

function meanOf(values) {
  const known = values.filter((value) => value !== null)
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : 0
}

/** What is usual in a pool, and from where on a backend is slow or fails. Infinity in a pool that is too small. */
function limitsOf(items) {
  if (items.length < LEAST_POOL) return { usual: 0, slow: Number.POSITIVE_INFINITY, failing: Number.POSITIVE_INFINITY }
  const usual = medianOf(items.map(({ p99 }) => p99)) ?? 0
  const errors = medianOf(items.map(({ failures }) => meanOf(failures.slice(-SAMPLES)))) ?? 0
  return { usual, slow: Math.max(SLOW_S, usual * SLOW_TIMES), failing: Math.max(FAILING_RATE, errors * FAILING_TIMES) }
}

/**
 * The items of a pool that are slow or fail, by id. `slowSince` and `failingSince` are indexes of samples, or -1; `usual`
 * is the p99 of the pool, `rate` the errors per second of the last half minute.
 */
export function outliersOf(items) {
  const { usual, slow, failing } = limitsOf(items)
  const found = new Map()
  for (const { backend, condition, p99, latencies, failures } of items) {
    // That one is down says more.
    if (condition === 'down' || condition === 'ejected') continue
    const slowSince = p99 > slow ? beganAt(latencies, slow) : -1
    const rate = meanOf(failures.slice(-SAMPLES))
    const failingSince = rate > failing ? beganAt(smoothed(failures), failing) : -1
    if (slowSince >= 0 || failingSince >= 0) found.set(backend.id, { usual, rate, slowSince, failingSince })
  }
  return found
}
