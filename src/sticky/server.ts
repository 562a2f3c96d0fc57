import type { Head } from '../parser/index.ts'
import {
  after,
  type ClientInfo,
  type Dest,
  type Hooks,
  type Limits,
  OPTION_RULES,
  ProxyServer,
} from '../proxy/index.ts'
import { show } from '../show.ts'
import { anObject, validateOptions } from '../validate.ts'
import { type CookieOptions, isStickyValue, StickyCookie } from './cookie.ts'

/**
 * A Dest with the sticky value for the client. No cookie is set if it is undefined or empty, or if the Dest is a
 * `server` of this process, whose responses are not read.
 */
export type StickyDest = Dest & { sticky: string | undefined }

/** What errback may return: any Dest. Other properties of lookup's Dest are optional. */
export type NextDest<D extends StickyDest> = Dest & Partial<D>

type Maybe<T> = T | Promise<T>

/** `lookup` of `createServer`, with the client's sticky value, or undefined if it brought no valid one. */
export type StickyLookup<D extends StickyDest = StickyDest> = (
  head: Head,
  sticky: string | undefined,
  client: ClientInfo,
) => Maybe<D | Response | undefined | null>

export interface StickyOptions<D extends StickyDest = StickyDest, E extends Dest = D> extends Limits {
  cookie?: CookieOptions
  /** Called with the response head before the sticky cookie is set. */
  modify?: Hooks<D, E>['modify']
}

const { lookup: aFunction, errback: maybeAFunction, ...MORE_RULES } = OPTION_RULES
const ARGUMENT_RULES = { lookup: aFunction, errback: maybeAFunction, options: anObject }
const RULES = { ...MORE_RULES, cookie: anObject }

/**
 * Creates a proxy server with sticky sessions: a response in which the application sets a cookie also gets the sticky
 * cookie, with `dest.sticky` as its value. With `requests: 'first'`, this holds for the first response of a connection.
 * @throws {TypeError} for an unknown or invalid option
 */
export function createStickyServer<D extends StickyDest>(
  lookup: StickyLookup<D>,
  errback?: null,
  options?: StickyOptions<D>,
): ProxyServer<D>
export function createStickyServer<D extends StickyDest, E extends Dest = NextDest<D>>(
  lookup: StickyLookup<D>,
  errback?: Hooks<D, E>['errback'],
  options?: StickyOptions<D, E>,
): ProxyServer<D>
export function createStickyServer<D extends StickyDest>(
  lookup: StickyLookup<D>,
  errback?: Hooks<D>['errback'] | null,
  options: StickyOptions<D> = {},
): ProxyServer<D> {
  validateOptions('', ARGUMENT_RULES, { lookup, errback, options })
  validateOptions('', RULES, options)
  const { cookie: cookieOptions = {}, modify, ...limits } = options
  const cookie = new StickyCookie(cookieOptions)
  const isEvery = limits.requests === 'every'
  return new ProxyServer<D>({
    ...limits,
    lookup: (head, client) => after(lookup(head, cookie.read(head), client), checked),
    modify: (head, dest, request) =>
      // Checked again: hooks may have changed it.
      after(modify?.(head, dest, request), () => cookie.answer(head, checked(dest).sticky, request, isEvery)),
    errback: errback ? (error, dest, head) => after(errback(error, dest, head), checked) : undefined,
  })
}

/** @throws {TypeError} for a sticky value that no cookie can carry */
function checked<T>(dest: T): T {
  if (typeof dest === 'object' && dest !== null && 'sticky' in dest && !isStickyValue(dest.sticky)) {
    const got = show(dest.sticky, 100)
    throw new TypeError(`dest.sticky: expected a string without lone surrogates, got ${got}`)
  }
  return dest
}
