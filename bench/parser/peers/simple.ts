import type { Peer } from './types.ts'

/** Splits the text at line ends and runs a regular expression on each line. */
export const split: Peer = {
  name: 'split and regexp',
  note: 'as proxies of 2012 did it: an object of strings, where the last field of a name wins; no checks',
  start() {
    let lines: string[] = []
    let fields: Record<string, string> = {}
    return {
      parse(chunks) {
        let text = ''
        for (const chunk of chunks) {
          text += chunk.toString('latin1')
          const end = text.indexOf('\r\n\r\n')
          if (end < 0) continue
          lines = text.slice(0, end).split('\r\n')
          fields = {}
          for (let i = 1; i < lines.length; i++) {
            const match = /^([^:]+):\s*(.*)$/.exec(lines[i]!)
            if (match) fields[match[1]!] = match[2]!
          }
          return true
        }
        return false
      },
      found() {
        const [method, target] = lines[0]!.split(' ')
        const isEveryLine = lines.slice(1).every((line) => line.slice(0, line.indexOf(':')) in fields)
        return { method: method!, target: target!, ...(isEveryLine && { fields: lines.length - 1 }) }
      },
    }
  },
}

/** Finds the end of the head and nothing else. */
export const floor: Peer = {
  name: 'Buffer.indexOf',
  note: 'the floor: only finds the empty line; joins the chunks of a cut head',
  start() {
    const joined = Buffer.alloc(65_536)
    return {
      parse(chunks) {
        if (chunks.length === 1) return chunks[0]!.indexOf('\r\n\r\n') >= 0
        let length = 0
        for (const chunk of chunks) {
          joined.set(chunk, length)
          const from = Math.max(0, length - 3)
          length += chunk.length
          if (joined.subarray(from, length).indexOf('\r\n\r\n') >= 0) return true
        }
        return false
      },
      found: () => ({}),
    }
  },
}
