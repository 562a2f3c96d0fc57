/**
 * The value that a share `q` (above 0, up to 1) of the observations does not exceed, interpolated linearly inside its
 * bucket, as histogram_quantile() of Prometheus does. NaN without observations. `counts`: those of each bucket alone, one
 * more than `bounds`. For a value in the last bucket, +Inf, it returns the highest bound.
 */
export function quantile(q: number, counts: ArrayLike<number>, bounds: readonly number[]): number {
  let total = 0
  for (let i = 0; i <= bounds.length; i++) total += counts[i]!
  if (total === 0) return Number.NaN
  let left = q * total
  let lower = 0
  // Not `entries()`: this runs thousands of times for each sample.
  for (let i = 0; i < bounds.length; i++) {
    const [count, upper] = [counts[i]!, bounds[i]!]
    if (count > 0 && left <= count) return lower + (upper - lower) * (left / count)
    left -= count
    lower = upper
  }
  return lower
}
