import { inspect } from 'node:util'
import type { Head } from '../parser/index.ts'
import {
  after,
  anObject,
  type ClientInfo,
  checkBy,
  type Dest,
  type Hooks,
  type Limits,
  OPTION_RULES,
  ProxyServer,
} from '../proxy/index.ts'
import { type CookieOptions, isStickyValue, StickyCookie } from './cookie.ts'

/**
 * A Dest with the value that the client is to come back with. None, or an empty one: no cookie is set. Nor is one where
 * the Dest is a `server` of this process, whose responses are not read.
 */
export type StickyDest = Dest & { sticky?: string | undefined }

type Maybe<T> = T | Promise<T>

/** As `lookup` of `createServer`, with the value of the sticky cookie, where the client brought one that is right. */
export type StickyLookup<D extends StickyDest = StickyDest> = (
  head: Head,
  sticky: string | undefined,
  client: ClientInfo,
) => Maybe<D | undefined | null>

export interface StickyOptions<D extends StickyDest = StickyDest> extends Limits {
  cookie?: CookieOptions
  /** Runs on the response head before the sticky cookie is set. */
  modify?: Hooks<D>['modify']
}

const { lookup: aFunction, errback: maybeAFunction, ...MORE_RULES } = OPTION_RULES
const ARGUMENT_RULES = { lookup: aFunction, errback: maybeAFunction, options: anObject }
const RULES = { ...MORE_RULES, cookie: anObject }

/**
 * Makes a proxy server that keeps a client at its backend: the first response of a connection that sets a cookie of
 * the application gets the sticky cookie beside it, with `dest.sticky` as its value.
 * @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes
 */
export function createStickyServer<D extends StickyDest>(
  lookup: StickyLookup<D>,
  errback?: Hooks<D>['errback'],
  options: StickyOptions<D> = {},
): ProxyServer<D> {
  checkBy('', ARGUMENT_RULES, { lookup, errback, options })
  checkBy('', RULES, options)
  const { cookie: cookieOptions = {}, modify, ...limits } = options
  const cookie = new StickyCookie(cookieOptions)
  return new ProxyServer<D>({
    ...limits,
    lookup: (head, client) => after(lookup(head, cookie.read(head), client), checked),
    modify: (head, dest) =>
      after(modify?.(head, dest), () => {
        // Checked once more: hooks may have written to it since.
        const { sticky } = checked(dest)
        if (sticky) cookie.write(head, sticky)
      }),
    errback: errback && ((error, dest, head) => after(errback(error, dest, head), checked)),
  })
}

/** @throws {TypeError} on a Dest whose sticky value no cookie can carry */
function checked<T>(dest: T): T {
  if (typeof dest === 'object' && dest !== null && 'sticky' in dest && !isStickyValue(dest.sticky)) {
    const got = inspect(dest.sticky, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100 })
    throw new TypeError(`dest.sticky: got ${got}; takes a string without lone surrogates`)
  }
  return dest
}
