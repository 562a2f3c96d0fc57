/** Scheme and authority of a target in absolute form (RFC 9112 3.2.2). */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?]*/i

/** The parts of a request target that has a path. */
export interface TargetParts {
  /** 'http://example.com' of an absolute target; else ''. */
  readonly origin: string
  /** The path as it was received. */
  readonly path: string
  /** The query with its '?'; or ''. */
  readonly query: string
}

/** Splits the target of a request. Undefined if it has no path: `*`, or the authority of CONNECT (RFC 9112 3.2). */
export function splitTarget({ method, target }: { method: string; target: string }): TargetParts | undefined {
  if (method === 'CONNECT' || target === '*') return undefined
  const origin = ORIGIN.exec(target)?.[0] ?? ''
  const mark = target.indexOf('?')
  const end = mark < 0 ? target.length : mark
  return { origin, path: target.slice(origin.length, end) || '/', query: target.slice(end) }
}
