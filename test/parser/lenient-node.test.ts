import { expect, test } from 'vitest'
import { type HeadError, type HeadErrorCode, LenientScanner } from '../../src/parser/index.ts'
import { report } from '../helpers/report.ts'
import { latin1 } from './feed.ts'
import { corpus } from './lenient-corpus.ts'
import { type Reading, readByNode } from './node-client.ts'

// Node's client reads each response with insecureHTTPParser, and the repaired response without it. Both must agree.

const LONE_CR =
  'RFC 9112 2.2: a lone CR is not a line end. Node accepts it in some places, and its versions find different bodies'
const FRAMING = 'RFC 9112 6.3: parsers find different bodies, and a repair must not hide that'

/** Codes with which we refuse heads that Node accepts, and the reason. */
const ONLY_NODE: { [code in HeadErrorCode]?: string } = {
  BARE_CR: LONE_CR,
  NUL: LONE_CR, // after a CR
  OBS_FOLD:
    'RFC 9112 2.2: a line that starts with white space cannot be first. Node reads a field or the end of the head',
  BAD_STATUS: 'RFC 9110 15: a status below 100 is invalid',
  BAD_VERSION: 'a status line of RTSP or ICE, not of HTTP',
  SPACE_BEFORE_COLON: 'RFC 9110 5.1: a name contains no white space. Node 20.19.0 accepts it',
  EMPTY_FIELD_NAME: 'RFC 9110 5.1: a name is not empty. Node 20.19.0 accepts it',
  BAD_CONTENT_LENGTH: FRAMING,
  BAD_TRANSFER_ENCODING: FRAMING,
  LENGTH_AND_ENCODING: FRAMING,
  ENCODING_IN_HTTP_1_0: FRAMING,
}

/** Heads that we accept and some version of Node refuses, and the reason. */
const ONLY_BADASS: [pattern: RegExp, reason: string][] = [
  [
    /content-length[\t ]*:.*(?:,|content-length)/is,
    'RFC 9110 8.6: equal lengths merge. Node refuses a list, and in most versions a second field',
  ],
  [/[\t ]+:/, 'RFC 9112 5.1: a proxy removes white space before a colon. Node accepts it after some names only'],
  [/length:.*\t/i, 'RFC 9110 5.5: white space may follow a value. Node 20 refuses a tab after a length'],
  [/^HTTP\/(?!1\.[01]|0\.9|2\.0)\d\.\d/, 'RFC 9110 2.5: a version is any two digits. Node 20.19.0 accepts only a few'],
]

const isListed = (text: string) => ONLY_BADASS.some(([pattern]) => pattern.test(text))

/** A value or reason phrase after repair. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: replaces control characters
  return text.replace(/[\x00-\x1f\x7f]/g, ' ').replace(/^ +| +$/g, '')
}

function cleaned({ version, reason, fields, ...reading }: Reading): Reading {
  const [major, minor] = version.split('.').map(Number)
  return {
    ...reading,
    version: major === 0 || (major === 1 && minor === 0) ? '1.0' : '1.1',
    reason: clean(reason),
    fields: fields.map(([name, value]) => [name.trimEnd(), clean(value)]),
  }
}

type Verdict = 'unchanged' | 'the same' | 'both refuse' | 'only Node' | 'only badass' | 'wrong'

async function judge(text: string): Promise<Verdict> {
  const bytes = latin1(text)
  const node = await readByNode(bytes, true)
  const scanner = new LenientScanner()
  if (scanner.push(bytes) !== 'head') {
    const error: HeadError = scanner.error ?? scanner.end()
    if (!node) return 'both refuse'
    return ONLY_NODE[error.code] ? 'only Node' : 'wrong'
  }
  const head = scanner.head!.bytes()
  if (text.startsWith(head.toString('latin1'))) return 'unchanged'
  const seen = await readByNode(Buffer.concat([head, scanner.rest]), false)
  if (!node) return isListed(text) ? 'only badass' : 'wrong'
  return JSON.stringify(seen && cleaned(seen)) === JSON.stringify(cleaned(node)) ? 'the same' : 'wrong'
}

test('repairs heads to what Node reads leniently, except for the listed differences', async () => {
  // After an interim head Node waits for the final one.
  const all = corpus().filter((text) => !/^HTTP\/\d\.\d 1/.test(text))
  const counts: { [verdict in Verdict]?: number } = {}
  const wrong: string[] = []
  for (let i = 0; i < all.length; i += 100) {
    const texts = all.slice(i, i + 100)
    for (const [k, verdict] of (await Promise.all(texts.map(judge))).entries()) {
      counts[verdict] = (counts[verdict] ?? 0) + 1
      if (verdict === 'wrong') wrong.push(texts[k]!)
    }
  }
  expect(wrong.slice(0, 20)).toEqual([])
  expect(counts['the same']).toBeGreaterThan(3_000)
  report(
    "broken response heads compared with Node's insecureHTTPParser",
    `${all.length} heads: ${counts['the same']} repaired to what Node reads, ${counts.unchanged} unchanged, ` +
      `${counts['both refuse']} refused by both, ${counts['only Node']} by badass only, ${counts['only badass']} by Node only`,
  )
})
