// A small line of a backend's latency over the last five minutes.
import { SPAN_S } from './history.js'

const STEP_S = 10
const POINTS = SPAN_S / STEP_S
const WIDTH = 60
const HEIGHT = 16

/** For each of the times, in ms, which point of the line it belongs to. Points stay in place as time passes. */
export function pointsOf(times) {
  const last = Math.floor((times.at(-1) ?? 0) / 1000 / STEP_S)
  return times.map((ms) => POINTS - 1 - last + Math.floor(ms / 1000 / STEP_S))
}

/** The path of the highest value at each point, where `most` is the top of the picture. */
export function pathOf(values, points, most) {
  const tops = Array(POINTS).fill(null)
  for (const [i, value] of values.entries()) {
    if (value !== null && points[i] >= 0) tops[points[i]] = Math.max(tops[points[i]] ?? 0, value)
  }
  let path = ''
  let isDrawing = false
  for (const [i, top] of tops.entries()) {
    if (top !== null) {
      const x = Math.round((i * WIDTH) / (POINTS - 1))
      const y = (HEIGHT - 1 - Math.min(1, top / most) * (HEIGHT - 2)).toFixed(1)
      // A point by itself is a short line.
      path += isDrawing ? `L${x} ${y}` : `M${x} ${y}h.1`
    }
    isDrawing = top !== null
  }
  return path
}
