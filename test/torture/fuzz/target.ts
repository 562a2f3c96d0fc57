import fc from 'fast-check'

/** A fuzz target. Its inputs are JSON with Latin-1 strings for bytes, so that cases can be stored. */
export interface Target<T> {
  arbitrary: fc.Arbitrary<T>
  /** Throws if something is wrong. */
  check(input: T): void
}

/** Special characters: separators, controls, quotes and characters beyond a byte. */
const TELLING = [
  ...'\r\n\0\t :;,="%\\#?/.-_\x7f\x80\xa0\xff',
  '\r\n',
  '\r\n\r\n',
  '\u010a',
  '\u{1f600}',
  '\ud800',
  '\udc00',
]

/** A text with special characters. */
export const hostileText = fc
  .array(
    fc.oneof(fc.constantFrom(...TELLING), fc.string({ maxLength: 4 }), fc.string({ unit: 'binary', maxLength: 2 })),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(''))

/** The same with characters of one byte. */
export const hostileBytes = hostileText.map((text) => text.replace(/[^\0-\xff]/g, '\xe9'))

type Change = [how: 'replace' | 'insert' | 'remove', at: number, by: string]
const change: fc.Arbitrary<Change> = fc.tuple(fc.constantFrom('replace', 'insert', 'remove'), fc.nat(), hostileBytes)

/** Texts of another arbitrary with small changes. */
export function nearly(text: fc.Arbitrary<string>, maxChanges = 3): fc.Arbitrary<string> {
  return fc
    .tuple(text, fc.array(change, { maxLength: maxChanges }))
    .map(([whole, changes]) => changes.reduce(changed, whole))
}

function changed(text: string, [how, place, by]: Change): string {
  const at = text.length === 0 ? 0 : place % text.length
  return text.slice(0, at) + (how === 'remove' ? '' : by) + text.slice(how === 'insert' ? at : at + 1)
}
