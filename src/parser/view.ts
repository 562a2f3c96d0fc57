import { inspect } from 'node:util'
import type { Head, Headers } from './head.ts'

/**
 * Makes `head.headers`, a live view of the fields. Only symbols reach the target object, so that no field name has a
 * special meaning.
 */
export function headersView(head: Head): Headers {
  const target: Headers = Object.create(null)
  Object.defineProperty(target, inspect.custom, { value: () => snapshot(head), configurable: true })
  return new Proxy(target, {
    get: (symbols, name) => (typeof name === 'string' ? read(head, name) : Reflect.get(symbols, name)),
    has: (symbols, name) => (typeof name === 'string' ? head.has(name) : Reflect.has(symbols, name)),
    ownKeys: () => names(head),
    getOwnPropertyDescriptor: (_, name) => {
      if (typeof name !== 'string' || !head.has(name)) return undefined
      return { value: read(head, name), writable: true, enumerable: true, configurable: true }
    },
    set: (_, name, value) => {
      if (typeof name !== 'string') return false
      if (value === undefined) head.delete(name)
      else head.set(name, value)
      return true
    },
    deleteProperty: (_, name) => {
      if (typeof name === 'string') head.delete(name)
      return true
    },
    defineProperty: () => false,
    preventExtensions: () => false,
    setPrototypeOf: () => false,
  })
}

function read(head: Head, name: string): string | string[] | undefined {
  const values = head.getAll(name)
  return values.length > 1 ? values : values[0]
}

/** Each name once, with the position and case of its first field. */
function names(head: Head): string[] {
  const seen = new Map<string, string>()
  for (const [name] of head) {
    const key = name.toLowerCase()
    if (!seen.has(key)) seen.set(key, name)
  }
  return [...seen.values()]
}

function snapshot(head: Head): Headers {
  return Object.fromEntries(names(head).map((name) => [name, read(head, name)]))
}
