/** Escapes quotes, backslashes and everything that is not printable ASCII, for text between quotes in a log. */
export function escapeText(text: string): string {
  return text.replace(/["\\]|[^ -~]/g, (character) => {
    const code = character.charCodeAt(0)
    if (code === 0x22 || code === 0x5c) return `\\${character}`
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: it matches control characters
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g

/** Escapes control characters and line ends, for lines on a terminal. */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeText)
}
