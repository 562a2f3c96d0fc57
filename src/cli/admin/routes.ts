import type http from 'node:http'
import { NoAnswer } from './controls.ts'
import { type Answer, refuse } from './guards.ts'

export type Handler = (request: http.IncomingMessage, ...segments: string[]) => Answer | Promise<Answer>

/** A path, with a group for each variable segment. Paths are matched as they came, before percent-decoding. */
export type Route = [path: RegExp, method: 'GET' | 'POST', handle: Handler]

/** Answers 404 to a RangeError, as no backend has the id, and 503 to a NoAnswer. */
export async function orRefusal(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer()
  } catch (error) {
    if (error instanceof RangeError) return refuse(404, error.message)
    if (error instanceof NoAnswer) return refuse(503, error.message)
    throw error
  }
}

/** The path without the query. RFC 9112 3.2.2: an absolute URL may stand in its place. */
export function pathOf({ url = '' }: http.IncomingMessage): string {
  return url.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?.*/, '')
}

export function dispatch(
  routes: readonly Route[],
  path: string,
  request: http.IncomingMessage,
): Answer | Promise<Answer> {
  for (const [pattern, method, handle] of routes) {
    const match = pattern.exec(path)
    if (!match) continue
    const allowed = method === 'GET' ? ['GET', 'HEAD'] : [method]
    if (allowed.includes(request.method!)) return handle(request, ...match.slice(1).map(decode))
    const Allow = allowed.join(', ')
    return refuse(405, `method: expected ${Allow}, got ${request.method}`, { Allow })
  }
  return refuse(404, `nothing at ${path}`)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
