import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJson } from '../../../src/cli/config/json.ts'

const parse = (text: string) => parseJson('a.json', text)

test('parseJson returns the same as JSON.parse', () => {
  const value = fc.jsonValue().map((one) => JSON.parse(JSON.stringify(one)))
  fc.assert(
    fc.property(value, fc.nat(2), (given, indent) => {
      expect(parse(JSON.stringify(given, undefined, indent))).toStrictEqual(given)
    }),
    { examples: [[JSON.parse('{"__proto__": {"a": 1}, "a": 1e-400}'), 0]] },
  )
})

test('parseJson refuses the same as JSON.parse', () => {
  const text = fc
    .json()
    .chain((whole) =>
      fc
        .tuple(fc.nat(whole.length), fc.nat(2), fc.constantFrom('', '"', '}', ']', ':', '1', '\\', '\n', 'e', '-', '{'))
        .map(([at, removed, added]) => whole.slice(0, at) + added + whole.slice(at + removed)),
    )
  const accepts = (read: (text: string) => unknown, given: string): boolean => {
    try {
      read(given)
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(text, (given) => {
      const isAccepted = accepts(parse, given)
      // Unlike JSON.parse, it accepts trailing commas and comments, and refuses duplicate keys.
      if (isAccepted !== accepts(JSON.parse, given)) expect(given).toMatch(isAccepted ? /,\s*[}\]]|\/[/*]/ : /"/)
    }),
    {
      numRuns: 1000,
      examples: [['01'], ['1.'], ['-'], ['"\\u12"'], ['tru'], ['[1 2]'], ['\u00a01'], ['"\t"'], ['nullx'], ['[]//"]']],
    },
  )
})

test('parseJson allows comments and trailing commas', () => {
  expect(parse('// a\n{ /* b */ "a": [1, 2,], // c\n}')).toEqual({ a: [1, 2] })
})

test.each([
  ['{\n  "a": 1,\n  "a": 2\n}', "a.json:3:3: 'a' appears twice"],
  ['{"a": {"__proto__": 1, "__proto__": 2}}', "a.json:1:24: '__proto__' appears twice"],
])('parseJson refuses a duplicate key in %j', (text, message) => {
  expect(() => parse(text)).toThrow(message)
})
