import type { Connection, Dest, ProxyErrorCode } from '../../index.ts'
import { isExhausted, subscribe } from '../../proxy/index.ts'
import { messageOf, propertyOf } from '../../show.ts'
import { type Io, RepeatFilter } from '../output.ts'
import { OWN_FOLDER } from '../own-folder.ts'
import { nameOf } from './log.ts'

/** What failed. */
const HOOKS: Partial<Record<ProxyErrorCode, string>> = {
  LOOKUP_FAILED: 'the hook lookup',
  // With a cause: lookup returned something that is not a Dest.
  NO_DESTINATION: 'the hook lookup',
  MODIFY_FAILED: 'the hook modify',
  ERRBACK_FAILED: 'the hook errback',
  REPLY_FAILED: 'the answer of a hook',
}

/**
 * Reports errors of the config module's hooks, as clients see only a 502 or 503. Each distinct error is printed at most
 * once a minute. Returns a function that stops the reports.
 */
export function reportHookErrors(isOurs: (connection: Connection) => boolean, say: Io['say']): () => void {
  const lines = new RepeatFilter(say)
  return subscribe('error', ({ connection, error: { code, cause }, dest }) => {
    if (cause === undefined && code === 'NO_DESTINATION') return
    const hook = HOOKS[code]
    const isOwnDest =
      code === 'CONNECT_FAILED' &&
      !isExhausted(cause) &&
      dest !== undefined &&
      propertyOf(dest, 'backend') === undefined
    if ((hook === undefined && !isOwnDest) || !isOurs(connection)) return
    const frames = framesOf(cause)
    const place = frames[0] === undefined ? '' : ` at ${frames[0]}`
    const text = messageOf(cause).split('\n', 1).join()
    if (hook !== undefined) {
      // Prefer the stack to the text, which may contain a part of the request.
      const kind = frames.length > 0 ? frames.join('\n') : text
      return lines.say(`${hook} ${kind}`, `${hook} failed${place}: ${text}`)
    }
    const name = nameOf(dest as Dest)
    lines.say(`${code} ${name}`, `a hook returned ${name}, which cannot be reached${place}: ${text}`)
  })
}

/** The stack frames in the user's files as 'file:line', innermost first. */
function framesOf(cause: unknown): string[] {
  const stack = propertyOf(cause, 'stack')
  if (typeof stack !== 'string') return []
  const places = [...stack.matchAll(/^ {4}at (?:.*\()?(?:file:\/\/)?([^()\s?]+)(?:\?load=\d+)?:(\d+):\d+\)?$/gm)]
  return places.filter(([, file]) => isTheirs(file!)).map(([, file, line]) => `${file}:${line}`)
}

function isTheirs(file: string): boolean {
  return !file.startsWith('node:') && !file.startsWith(OWN_FOLDER)
}
