import { mapReferences, withOneSlash } from '../own-references.ts'
import type { Head } from '../parser/index.ts'
import type { TargetParts } from '../request-target.ts'
import { isBelow } from './matcher.ts'

/** The Path attribute of a Set-Cookie value. */
const COOKIE_PATH = /(;[ \t]*path[ \t]*=[ \t]*)([^;]*)/gi
const ABSOLUTE = /^https?:\/\/([^/?#]*)([^?#]*)/i

/** Changes the path of requests on their way to a pool, and puts the paths in its responses right. */
export class PathMapping {
  /** What is removed from the request's path. */
  readonly #prefix: string
  /** What is put before the rest. */
  readonly #base: string
  /** Removes as many segments as the prefix has. They may be encoded in another way. */
  readonly #segments: RegExp

  /** Neither path ends with a slash. '' stands for none. */
  constructor(prefix: string, base: string) {
    this.#prefix = prefix
    this.#base = base
    // An empty segment, which may have parameters, does not count.
    this.#segments = new RegExp(`^(?:(?:/(?:;[^/]*)?)*/[^/;][^/]*){${prefix.split('/').length - 1}}`)
  }

  /** Edits the request target. */
  request(head: Head, { origin, path, query }: TargetParts): void {
    const rest = path.replace(this.#segments, '')
    // A path that starts with '//' could name another host.
    const mapped = (this.#base + rest).replace(/^\/*/, '/')
    head.first = `${head.method} ${origin}${mapped}${query} ${head.version}`
  }

  /** Edits Location, Content-Location and the Path of cookies. `request` is the head as the client sent it. */
  response(head: Head, request: Head): void {
    const host = request.get('host')?.toLowerCase()
    const reference = (value: string) => this.#reference(value, host)
    mapReferences(head, reference, (cookie) => this.#cookie(cookie))
  }

  /** A path, or a URL with the host that the client asked, leads back through the route. Others stay. */
  #reference(value: string, host: string | undefined): string {
    if (value.startsWith('/') && !/^[/\\]{2}/.test(value)) {
      const end = value.search(/[?#]/)
      const path = end < 0 ? value : value.slice(0, end)
      return this.#outside(path) + value.slice(path.length)
    }
    const [url, authority, path] = ABSOLUTE.exec(value) ?? []
    if (url === undefined || authority!.toLowerCase() !== host) return value
    return value.slice(0, url.length - path!.length) + this.#outside(path || '/') + value.slice(url.length)
  }

  #cookie(value: string): string {
    return value.replaceAll(COOKIE_PATH, (attribute, start: string, path: string) => {
      if (!path.startsWith('/')) return attribute
      const plain = path.trimEnd()
      // A cookie for the base, or for a path above it, is for all that the client can reach.
      const isAbove = isBelow(this.#base, plain.replace(/\/$/, ''))
      return start + (isAbove ? this.#prefix || '/' : this.#outside(plain))
    })
  }

  /** The path by which a client reaches a path of the backend. */
  #outside(path: string): string {
    if (!isBelow(path, this.#base)) return path
    const rest = path.slice(this.#base.length)
    return this.#prefix ? this.#prefix + rest : withOneSlash(rest)
  }
}
