import { splitTarget } from '../request-target.ts'
import { lifeOf, nameOf, parseAttributes, pathOf, scopeOf } from './set-cookie.ts'

/** A session cookie is ranked as if it lived for a day. */
const SESSION_MS = 24 * 60 * 60 * 1000

/** Attributes that a cookie name prefix requires (RFC 6265bis 4.1.3). Prefixes are case-insensitive (5.4). */
interface Prefix {
  readonly pattern: RegExp
  readonly expected: string
  isMetBy(attributes: ReadonlyMap<string, string>): boolean
  /** Attributes that the prefix fixes, in lower case, and their replacement. */
  readonly fixed: readonly string[]
  readonly scope: string
}

const PREFIXES: readonly Prefix[] = [
  {
    pattern: /^__secure-/i,
    expected: 'Secure',
    isMetBy: (attributes) => attributes.has('secure'),
    fixed: ['secure'],
    scope: '; Secure',
  },
  {
    pattern: /^__host-/i,
    expected: 'Secure, Path=/ and no Domain',
    isMetBy: (attributes) => attributes.has('secure') && attributes.get('path') === '/' && !attributes.has('domain'),
    fixed: ['path', 'domain', 'secure'],
    scope: '; Path=/; Secure',
  },
]

/** The attributes that the prefix of a name requires and that are missing. */
export function missingFor(name: string, attributes: string): string | undefined {
  return unmetBy(name, attributes)?.expected
}

/**
 * The attributes for a sticky cookie set beside the application's cookie: the same as that cookie's, except for what
 * the prefix of the name requires. `beside` is the name of that cookie; any if undefined.
 *
 * Of several cookies, the one with the widest (shortest) Path counts, then the longest-lived, then the first. A cookie
 * without a Path belongs to the folder of the request's `target`. Deletions count only if there is nothing else: then
 * the sticky cookie is deleted too.
 */
export function scopeBeside(
  setCookies: readonly string[],
  { name, beside, target }: { name: string; beside: string | undefined; target: string },
): string | undefined {
  const candidates = setCookies
    .filter((setCookie) => beside === undefined || nameOf(setCookie) === beside)
    .map((setCookie) => ({
      scope: scopeOf(setCookie),
      pathLength: (pathOf(setCookie) ?? folderOf(target)).length,
      life: Math.max(0, lifeOf(setCookie) ?? SESSION_MS),
    }))
  const living = candidates.filter(({ life }) => life > 0)
  const [best] = (living.length > 0 ? living : candidates).sort(
    (a, b) => compare(a.pathLength, b.pathLength) || compare(b.life, a.life),
  )
  return best && withPrefix(name, best.scope)
}

/** The default path of a cookie (RFC 6265 5.1.4); `/` if the target has no path. */
function folderOf(target: string): string {
  const path = splitTarget({ method: '', target })?.path ?? '/'
  return path.startsWith('/') ? path.slice(0, Math.max(1, path.lastIndexOf('/'))) : '/'
}

/** Compares without subtracting: both may be infinite. */
function compare(a: number, b: number): number {
  return a < b ? -1 : Number(a > b)
}

/** Adds what the prefix of the name requires; browsers reject the cookie otherwise. */
function withPrefix(name: string, scope: string): string {
  const prefix = unmetBy(name, scope)
  if (!prefix) return scope
  const others = scope.split(';').filter((attribute) => !prefix.fixed.includes(parseAttributes(attribute)[0]![0]))
  return others.join(';') + prefix.scope
}

function unmetBy(name: string, scope: string): Prefix | undefined {
  const attributes = new Map(parseAttributes(scope))
  return PREFIXES.find((prefix) => prefix.pattern.test(name) && !prefix.isMetBy(attributes))
}
