import { output } from '../../common/processes.ts'

export interface Load {
  port: number
  path?: string
  connections: number
  /** Rounded to whole seconds, at least 1. */
  seconds: number
  headers?: string[]
  /** A Lua script. */
  script?: string
  /** Ends it early. */
  signal?: AbortSignal
}

/** Runs wrk with one thread. @throws {Error} when a connection broke or an answer was not a 2xx or 3xx */
export async function wrk(load: Load): Promise<{ units: number; seconds: number }> {
  const { port, path = '/', connections, seconds, headers = [], script, signal } = load
  const command = [
    ...['wrk', '-t', '1', '-c', String(connections), '-d', `${Math.max(1, Math.round(seconds))}s`, '--timeout', '10s'],
    ...headers.flatMap((header) => ['-H', header]),
    ...(script === undefined ? [] : ['-s', script]),
    `http://127.0.0.1:${port}${path}`,
  ]
  const said = await output(command, signal)
  const wrong = /^\s*(Socket errors: .*|Non-2xx or 3xx responses: \d+)/m.exec(said)
  if (wrong) throw new Error(`wrk: ${wrong[1]}`)
  const done = /(\d+) requests in ([\d.]+)(ms|s|m),/.exec(said)
  if (!done || Number(done[1]) === 0) throw new Error(`wrk: ${said.trim().split('\n').at(-1)}`)
  const unit = { ms: 0.001, s: 1, m: 60 }[done[3] as 'ms' | 's' | 'm']
  return { units: Number(done[1]), seconds: Number(done[2]) * unit }
}
