import { expect, test } from 'vitest'
import { type HeadError, type HeadErrorCode, LenientScanner } from '../../src/parser/index.ts'
import { report } from '../helpers/report.ts'
import { latin1 } from './feed.ts'
import { corpus } from './lenient-corpus.ts'
import { type Reading, readByNode } from './node-client.ts'

// Node's client, with insecureHTTPParser, reads each response as it came; without it, it reads what we make of it.

const LONE_CR =
  'RFC 9112 2.2: a lone CR ends no line. Node reads a line end in it in some places, and its versions find different bodies'
const FRAMING = 'RFC 9112 6.3: readers find different bodies behind it, and what is mended must not make it look right'

/** What Node takes and we refuse: by the rule that is broken, the reason. */
const NODE_ALONE: { [code in HeadErrorCode]?: string } = {
  BARE_CR: LONE_CR,
  NUL: LONE_CR, // which it stands behind
  OBS_FOLD:
    'RFC 9112 2.2: white space before the first field makes its line none. Node reads one, or the end of the head',
  BAD_STATUS: 'RFC 9110 15: no client knows a status below 100, and no clean head says it',
  BAD_VERSION: 'a status line of RTSP or ICE: it answers no request of HTTP',
  SPACE_BEFORE_COLON: 'RFC 9110 5.1: a name has no white space in it. Node 20.19.0 takes it',
  EMPTY_FIELD_NAME: 'RFC 9110 5.1: a field has a name. Node 20.19.0 takes none',
  BAD_CONTENT_LENGTH: FRAMING,
  BAD_TRANSFER_ENCODING: FRAMING,
  LENGTH_AND_ENCODING: FRAMING,
  ENCODING_IN_HTTP_1_0: FRAMING,
}

/** What we take and Node refuses, or one of its versions does. */
const BADASS_ALONE: [what: RegExp, why: string][] = [
  [
    /[\t ]+:/,
    'RFC 9112 5.1: a proxy removes the white space before any colon. Node takes spaces there in some names only',
  ],
  [/length:.*\t/i, 'RFC 9110 5.5: white space may follow a value. Node 20 refuses a tab behind a length'],
  [
    /^HTTP\/(?!1\.[01]|0\.9|2\.0)\d\.\d/,
    'RFC 9110 2.5: a version is one digit and another. Node 20.19.0 knows but a few',
  ],
]

const isMentioned = (text: string) => BADASS_ALONE.some(([what]) => what.test(text))

/** A value or reason as it reads when it is clean. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are replaced
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

type Verdict = 'as it came' | 'the same' | 'both refuse' | 'Node alone' | 'badass alone' | 'wrong'

async function judge(text: string): Promise<Verdict> {
  const bytes = latin1(text)
  const node = await readByNode(bytes, true)
  const scanner = new LenientScanner()
  if (scanner.push(bytes) !== 'head') {
    const error: HeadError = scanner.error ?? scanner.end()
    if (!node) return 'both refuse'
    return NODE_ALONE[error.code] ? 'Node alone' : 'wrong'
  }
  const head = scanner.head!.bytes()
  if (text.startsWith(head.toString('latin1'))) return 'as it came'
  const seen = await readByNode(Buffer.concat([head, scanner.rest]), false)
  if (!node) return isMentioned(text) ? 'badass alone' : 'wrong'
  return JSON.stringify(seen && cleaned(seen)) === JSON.stringify(cleaned(node)) ? 'the same' : 'wrong'
}

test('what Node takes leniently, its strict client reads the same of us, unless it stands in the list above', async () => {
  // Behind an interim head Node waits for another.
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
    "odd response heads beside Node's insecureHTTPParser",
    `${all.length} heads: ${counts['the same']} mended to what Node reads, ${counts['as it came']} left as they came, ` +
      `${counts['both refuse']} refused by both, ${counts['Node alone']} by badass alone, ${counts['badass alone']} by Node alone`,
  )
})
