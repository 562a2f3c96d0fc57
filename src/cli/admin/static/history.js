// Keeps a sample of each answer of the server for a few minutes.

export const SPAN_S = 300
/** If polls are further apart than this, the lines have a gap. */
const GAP_S = 4
/** A poll sooner than this, as after an action, is no sample: one connection in 15 ms would show as 66/s. */
const SOON_S = 0.5
/** Displayed figures are the mean of so many samples, so that they do not flicker. */
const MEAN_OF = 3

class Series {
  constructor(length) {
    this.open = Array(length).fill(null)
    this.rate = Array(length).fill(null)
    this.in = Array(length).fill(null)
    this.out = Array(length).fill(null)
  }

  push(open, rate, read, written) {
    this.open.push(open)
    this.rate.push(rate)
    this.in.push(read)
    this.out.push(written)
  }

  shift(n) {
    for (const list of [this.open, this.rate, this.in, this.out]) list.splice(0, n)
  }

  isBlank() {
    return this.open.every((value) => value === null)
  }
}

export class History {
  /** s since 1970 of each sample, by the server's clock. */
  times = []
  /** s between each sample and the one before it. */
  spans = []
  all = new Series(0)
  /** By id. */
  backends = new Map()
  #last

  push(state) {
    const now = state.time / 1000
    const last = this.#last
    const since = last ? state.uptime - last.uptime : Number.NaN
    if (since >= 0 && since < SOON_S && now >= this.times.at(-1)) return
    this.#last = state
    // The server's clock was set back: older samples have no place on the axis.
    if (last && now <= this.times.at(-1)) this.#clear()
    // A new process counts from 0.
    const isSame = last !== undefined && state.uptime > last.uptime
    const seconds = isSame ? state.uptime - last.uptime : 0
    if (this.times.length > 0 && (!isSame || seconds > GAP_S)) this.#add((this.times.at(-1) + now) / 2)
    this.#add(now, state, isSame ? last : undefined, seconds)
    this.#forget(now - SPAN_S - 2)
  }

  /** The mean rate of the last few samples, weighted by duration. Null if there is none. */
  mean(list) {
    let [amount, seconds] = [0, 0]
    for (let i = Math.max(0, list.length - MEAN_OF); i < list.length; i++) {
      if (list[i] === null) continue
      amount += list[i] * this.spans[i]
      seconds += this.spans[i]
    }
    return seconds > 0 ? amount / seconds : null
  }

  max(list) {
    return list.reduce((most, value) => Math.max(most, value ?? 0), 0)
  }

  #clear() {
    this.times = []
    this.spans = []
    this.all = new Series(0)
    this.backends.clear()
  }

  /** Without a state, adds a gap. */
  #add(time, state, last, seconds = 0) {
    const rates = (now, before, names) =>
      names.map((name) => (before && seconds > 0 ? Math.max(0, now[name] - before[name]) / seconds : null))
    if (state) {
      const { counters } = state
      this.all.push(counters.open, ...rates(counters, last?.counters, ['accepted', 'bytesRead', 'bytesWritten']))
    } else {
      this.all.push(null, null, null, null)
    }
    const before = new Map(last?.backends.map((backend) => [backend.id, backend]))
    const present = new Map(state?.backends.map((backend) => [backend.id, backend]))
    for (const id of present.keys()) {
      if (!this.backends.has(id)) this.backends.set(id, new Series(this.times.length))
    }
    for (const [id, series] of this.backends) {
      const backend = present.get(id)
      if (backend) {
        series.push(backend.connections, ...rates(backend, before.get(id), ['total', 'bytesRead', 'bytesWritten']))
      } else {
        series.push(null, null, null, null)
      }
    }
    this.times.push(time)
    this.spans.push(seconds)
  }

  #forget(before) {
    const old = this.times.findIndex((time) => time >= before)
    if (old <= 0) return
    this.times.splice(0, old)
    this.spans.splice(0, old)
    this.all.shift(old)
    for (const [id, series] of this.backends) {
      series.shift(old)
      if (series.isBlank()) this.backends.delete(id)
    }
  }
}
