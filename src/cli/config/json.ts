import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { ConfigError } from './config.ts'
import { show } from './words.ts'

/** Parses JSON that may have comments and trailing commas. @throws {ConfigError} with line and column of the first mistake */
export function parseJson(file: string, text: string): unknown {
  const fail = (offset: number, message: string): never => {
    const before = text.slice(0, offset).split('\n')
    throw new ConfigError(`${file}:${before.length}:${before.at(-1)!.length + 1}: ${message}`)
  }
  const read = ({ type, value, children = [] }: Node): unknown => {
    if (type === 'array') return children.map(read)
    if (type !== 'object') return value
    const names = new Set<string>()
    const entries = children.map(({ children: [key, member] = [] }) => {
      const name = key!.value as string
      if (names.has(name)) fail(key!.offset, `${show(name)} appears twice`)
      names.add(name)
      return [name, read(member!)] as const
    })
    // Makes '__proto__' a property like any other.
    return Object.fromEntries(entries)
  }
  try {
    const errors: ParseError[] = []
    const root = parseTree(text, errors, { allowTrailingComma: true })
    const [mistake] = errors
    if (mistake) fail(mistake.offset, messageOf(mistake))
    return read(root!)
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(`${file}: is nested too deeply`)
    throw error
  }
}

/** 'ColonExpected' reads as 'colon expected'. */
function messageOf({ error }: ParseError): string {
  const words = printParseErrorCode(error).replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return words.trim()
}
