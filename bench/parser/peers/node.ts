import { createRequire } from 'node:module'
import { HTTPParser as JsParser } from 'http-parser-js'
import type { Peer } from './types.ts'

/** The interface of both Node's own parser and `http-parser-js`. */
interface NodeParser {
  initialize(type: unknown, resource: object, maxHeaderSize: number): void
  execute(chunk: Buffer): number | Error
  [callback: number]: unknown
}

interface NodeParserClass {
  new (): NodeParser
  REQUEST: unknown
  kOnHeaders: number
  kOnHeadersComplete: number
  kOnExecute: number
}

const { HTTPParser: LlhttpParser } = createRequire(import.meta.url)('_http_common') as { HTTPParser: NodeParserClass }

/** The number of GET in both parsers. */
const GET = 1

function nodePeer(name: string, note: string, Class: NodeParserClass): Peer {
  return {
    name,
    note,
    start() {
      const parser = new Class()
      parser.initialize(Class.REQUEST, {}, 65_536)
      // As in node:http. It tells http-parser-js to use today's callbacks.
      parser[Class.kOnExecute] = null
      let isDone = false
      let method = -1
      let target = ''
      let fields: string[] = []
      // Node's parser delivers fields in batches when there are more than 32 or the head is cut.
      let batches: string[][] = []
      parser[Class.kOnHeaders] = (some: string[], url: string) => {
        batches.push(some)
        target += url
      }
      parser[Class.kOnHeadersComplete] = (
        _major: number,
        _minor: number,
        all: string[] | undefined,
        methodNumber: number,
        url: string | undefined,
      ) => {
        isDone = true
        method = methodNumber
        if (all) fields = all
        if (url) target = url
        return 0
      }
      return {
        parse(chunks) {
          isDone = false
          target = ''
          fields = []
          batches = []
          for (const chunk of chunks) parser.execute(chunk)
          return isDone
        },
        found: () => ({
          method: method === GET ? 'GET' : 'another',
          target,
          fields: [...batches.flat(), ...fields].length / 2,
        }),
      }
    },
  }
}

export const node = nodePeer(
  'Node llhttp',
  "Node's own binding (C): the target and every name and value as strings; no check of Host",
  LlhttpParser,
)

export const js = nodePeer(
  'http-parser-js',
  'the same in JavaScript, line by line',
  JsParser as unknown as NodeParserClass,
)
