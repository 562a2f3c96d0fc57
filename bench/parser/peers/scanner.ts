import { type Head, HeadScanner } from 'badass/parser'
import type { Peer } from './types.ts'

const LIMITS = { maxHeadBytes: 65_536 }

/** `HeadScanner`, and something to do with each head. */
function scannerPeer(name: string, note: string, use: (head: Head) => unknown): Peer {
  return {
    name,
    note,
    start() {
      const scanner = new HeadScanner('request', LIMITS)
      return {
        parse(chunks) {
          scanner.reset()
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

export const scanner = scannerPeer(
  'HeadScanner',
  'fields as offsets; checks syntax, version, framing and Host; no strings',
  (head) => head,
)

export const scannerNew: Peer = {
  name: 'HeadScanner, new',
  note: 'as above, with a scanner of its own for each head, as on connections with one head each',
  start() {
    let head: Head | undefined
    return {
      parse(chunks) {
        const scanner = new HeadScanner('request', LIMITS)
        for (const chunk of chunks) scanner.push(chunk)
        head = scanner.head
        return head !== undefined
      },
      found: () => ({ method: head!.method, target: head!.target, fields: [...head!].length }),
    }
  },
}

export const scannerThree = scannerPeer(
  'HeadScanner + 3 fields',
  'and the strings of method, target and three fields, as a hook asks for them',
  (head) => [head.method, head.target, head.get('host'), head.get('cookie'), head.get('upgrade')],
)

export const scannerStrings = scannerPeer(
  'HeadScanner + strings',
  'and the strings of method, target and every name and value, as node:http has them',
  (head) => [head.method, head.target, ...head],
)
