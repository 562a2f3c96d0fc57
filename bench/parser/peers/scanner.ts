import { type Head, HeadScanner } from 'badass/parser'
import type { Peer } from './types.ts'

const LIMITS = { maxHeadBytes: 65_536 }

/** `HeadScanner`, with a use for each head. With `isFresh` each head gets a new scanner. */
function scannerPeer(name: string, note: string, use: (head: Head) => unknown, isFresh = false): Peer {
  return {
    name,
    note,
    start() {
      let scanner = new HeadScanner('request', LIMITS)
      return {
        parse(chunks) {
          if (isFresh) scanner = new HeadScanner('request', LIMITS)
          else scanner.reset()
          for (const chunk of chunks) scanner.push(chunk)
          return scanner.head !== undefined && use(scanner.head) !== undefined
        },
        found() {
          const head = scanner.head!
          return { method: head.method, target: head.target, fields: [...head].length }
        },
      }
    },
  }
}

export const scanners: readonly Peer[] = [
  scannerPeer('HeadScanner', 'fields as offsets; checks syntax, version, framing and Host; no strings', (head) => head),
  scannerPeer(
    'HeadScanner, new',
    'the same with a new scanner for each head, as on connections with one request',
    (head) => head,
    true,
  ),
  scannerPeer(
    'HeadScanner + 3 fields',
    'and reads method, target and three fields as strings, as a hook does',
    (head) => [head.method, head.target, head.get('host'), head.get('cookie'), head.get('upgrade')],
  ),
  scannerPeer(
    'HeadScanner + strings',
    'and reads method, target and every name and value as strings, as node:http does',
    (head) => [head.method, head.target, ...head],
  ),
]
