import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findJsonMistake } from '../../../src/cli/config/json.ts'

describe('findJsonMistake', () => {
  test('finds none exactly where JSON.parse does', () => {
    const text = fc.oneof(
      fc
        .json()
        .chain((whole) =>
          fc
            .tuple(
              fc.nat(whole.length),
              fc.nat(2),
              fc.constantFrom('', ',', '"', '}', ']', ':', '1', '\\', '\n', 'e', '-', '{'),
            )
            .map(([at, removed, added]) => whole.slice(0, at) + added + whole.slice(at + removed)),
        ),
      fc.json(),
    )
    fc.assert(
      fc.property(text, (given) => {
        let isJson = true
        try {
          JSON.parse(given)
        } catch {
          isJson = false
        }
        const mistake = findJsonMistake(given)
        expect(mistake === undefined).toBe(isJson)
      }),
      {
        numRuns: 1000,
        examples: [['01'], ['1.'], ['-'], ['"\\u12"'], ['tru'], ['[1 2]'], ['\u00a01'], ['"\t"'], ['1e5'], ['nullx']],
      },
    )
  })

  test('takes time by the length of the text', () => {
    expect(findJsonMistake(`${'['.repeat(200_000)}`)).toMatchObject({ line: 1, column: 200_001 })
    expect(findJsonMistake(`["${'\\'.repeat(199_999)}`)).toMatchObject({ line: 1, column: 2 })
  })
})
