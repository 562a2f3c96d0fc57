/** Where a text stops being JSON (RFC 8259): Node's own messages name the place in some versions and in some cases. */
export interface JsonMistake {
  line: number
  column: number
  got: string
  takes: string
}

const BLANKS = /[ \t\n\r]*/y
const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a string of JSON has none of them (RFC 8259 7)
  /[{}[\],:]|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/** What may come next, as a mistake names it. */
const TAKES = {
  value: 'a value',
  'value or ]': 'a value or ]',
  'key or }': 'a key in double quotes or }',
  key: 'a key in double quotes',
  colon: 'a colon',
  'comma or ]': 'a comma or ]',
  'comma or }': 'a comma or }',
  end: 'nothing more',
} as const
type Expected = keyof typeof TAKES

/** The first place at which no JSON goes on as the text does; undefined where all of it is JSON. */
export function findJsonMistake(text: string): JsonMistake | undefined {
  const open: string[] = []
  let expected: Expected = 'value'
  let offset = 0
  for (;;) {
    BLANKS.lastIndex = offset
    offset += BLANKS.exec(text)?.[0].length ?? 0
    TOKEN.lastIndex = offset
    const token = TOKEN.exec(text)?.[0]
    const next: Expected | undefined = token === undefined ? undefined : step(expected, token, open)
    if (next === undefined) break
    expected = next
    offset += token!.length
  }
  if (offset === text.length && expected === 'end') return undefined
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: before.at(-1)!.length + 1, got: describe(text, offset), takes: TAKES[expected] }
}

/** What is expected after a token, or undefined where the token is not what was. `open`: the brackets around it. */
function step(expected: Expected, token: string, open: string[]): Expected | undefined {
  const after = (): Expected => (open.length === 0 ? 'end' : open.at(-1) === '{' ? 'comma or }' : 'comma or ]')
  switch (expected) {
    case 'colon':
      return token === ':' ? 'value' : undefined
    case 'key':
    case 'key or }':
      if (token.startsWith('"')) return 'colon'
      break
    case 'comma or }':
      if (token === ',') return 'key'
      break
    case 'comma or ]':
      if (token === ',') return 'value'
      break
    case 'value':
    case 'value or ]':
      if (token === '{' || token === '[') {
        open.push(token)
        return token === '{' ? 'key or }' : 'value or ]'
      }
      if (!/^[}\],:]/.test(token)) return after()
      break
    case 'end':
      return undefined
  }
  if (!expected.endsWith(`or ${token}`)) return undefined
  open.pop()
  return after()
}

/** What stands at an offset, in short. */
function describe(text: string, offset: number): string {
  if (offset === text.length) return 'the end'
  const rest = text.slice(offset, offset + 80)
  const [, word] = /^("[^"\n\r]*"?|[\w.+-]+|\/[/*])/.exec(rest) ?? []
  const found = word ?? String.fromCodePoint(rest.codePointAt(0)!)
  return found === '//' || found === '/*' ? 'a comment' : found.length > 30 ? `${found.slice(0, 30)}...` : found
}
