import type { Head } from '../../../src/index.ts'

type Change = (head: Head) => void

const set = (name: string, value: string) => (head: Head) => void head.set(name, value)
const append = (name: string, value: string) => (head: Head) => void head.append(name, value)
const toggle = (name: string) => (head: Head) => void (head.has(name) ? head.delete(name) : head.set(name, '1'))

/** Changes to the framing of a message or a connection. Each changes any head. */
const CHANGES: readonly Change[] = [
  append('Content-Length', '3'),
  set('Content-Length', '1000000'),
  toggle('Content-Length'),
  append('Transfer-Encoding', 'chunked'),
  toggle('Transfer-Encoding'),
  set('Transfer-Encoding', 'identity'),
  append('Connection', 'X-Id'),
  set('Connection', 'close, upgrade'),
  append('Upgrade', 'bar'),
  set('Upgrade', 'h2c'),
  (head) => {
    head.first = head.first.includes('HTTP/1.1')
      ? head.first.replace('HTTP/1.1', 'HTTP/1.0')
      : head.first.replace('HTTP/1.0', 'HTTP/1.1')
  },
  (head) => {
    if (head.kind === 'request')
      head.first = `${head.method === 'HEAD' ? 'GET' : 'HEAD'} ${head.target} ${head.version}`
    else head.first = `${head.version} ${head.status === 204 ? '200' : '204'} x`
  },
]

/** The attack that a path requests. */
export function attackOf(path: string): { hook: string; change: Change } | undefined {
  const [, hook, number] = /-(lookup|modify)(\d+)$/.exec(path) ?? []
  return hook === undefined ? undefined : { hook, change: CHANGES[Number(number)]! }
}
