import { describe, expect, test } from 'vitest'
import { HeadError, headErrorCodes, parseHead } from '../../src/parser/index.ts'
import { type Case, read } from './cases/case.ts'
import { LIMITS } from './cases/limits.ts'
import { REQUESTS } from './cases/requests.ts'
import { RESPONSE_FRAMING, RESPONSES } from './cases/responses.ts'
import { CONNECTION, FRAMING, HOSTS } from './cases/rules.ts'
import { TARGETS } from './cases/targets.ts'
import { byteByByte, cutAt, feed, type Outcome, refusal } from './feed.ts'

const SUITES = {
  requests: REQUESTS,
  responses: RESPONSES,
  'response framing': RESPONSE_FRAMING,
  framing: FRAMING,
  connection: CONNECTION,
  hosts: HOSTS,
  targets: TARGETS,
  limits: LIMITS,
}

/** Errors that are not about a single byte. */
const BYTELESS = new Set(['INCOMPLETE', 'TRAILING_BYTES', 'HEAD_TOO_LARGE', 'TOO_MANY_FIELDS'])

function refusedWith(code: keyof typeof headErrorCodes, bytes: Buffer, offset: number, state: string): Outcome {
  const [status, meaning] = headErrorCodes[code]
  const byte = state === 'Rules' || BYTELESS.has(code) ? undefined : bytes[offset]
  const is = byte === undefined ? '' : ` is 0x${byte < 16 ? '0' : ''}${byte.toString(16)}`
  const message = `${code}: ${meaning} (byte ${offset}${is}, in ${state})`
  return { verdict: 'invalid', code, status, offset, state, byte, message }
}

function outcomeOf(one: Case): Outcome {
  const { bytes, mark } = read(one)
  if ('code' in one.expected) return refusedWith(one.expected.code, bytes, mark, one.expected.state)
  const text = bytes.toString('latin1')
  const begin = text.startsWith('\r\n') ? 2 : 0
  const { first, fields, repaired = text.slice(begin, mark) } = one.expected
  return { verdict: 'head', first, fields, bytes: repaired, rest: text.slice(mark) }
}

function parsed(bytes: Buffer, { kind, limits }: Case): Outcome {
  try {
    const head = parseHead(bytes, kind, limits)
    const text = head.bytes().toString('latin1')
    return { verdict: 'head', first: head.first, fields: [...head], bytes: text, rest: '' }
  } catch (error) {
    expect(error).toBeInstanceOf(HeadError)
    return refusal(error as HeadError)
  }
}

/** Every offset. For a long input, those near its ends and some in between. */
function cuts(length: number): number[] {
  const all = Array.from({ length: length + 1 }, (_, at) => at)
  return all.filter((at) => length < 2_000 || at < 100 || at > length - 100 || at % 97 === 0)
}

describe.for(Object.entries(SUITES))('%s', ([, cases]) => {
  test.for(cases.map((one) => [JSON.stringify(one.name), one] as const))('%s', ([, one]) => {
    const { bytes, mark } = read(one)
    const expected = outcomeOf(one)
    expect(feed(one.kind, [bytes], one.limits), 'whole').toEqual(expected)
    expect(feed(one.kind, byteByByte(bytes), one.limits), 'byte by byte').toEqual(expected)
    for (const at of cuts(bytes.length)) {
      const outcome = feed(one.kind, cutAt(bytes, [at]), one.limits)
      // toEqual is slow, and this runs 100,000 times.
      if (JSON.stringify(outcome) !== JSON.stringify(expected)) expect(outcome, `cut at ${at}`).toEqual(expected)
    }
    const hasRest = expected.verdict === 'head' && expected.rest !== ''
    expect(parsed(bytes, one), 'parseHead').toEqual(
      hasRest ? refusedWith('TRAILING_BYTES', bytes, mark, 'Done') : expected,
    )
  })
})

test('no two cases have the same input', () => {
  const all = Object.values(SUITES).flat()
  expect(new Set(all.map(({ kind, input, limits }) => JSON.stringify([kind, input, limits]))).size).toBe(all.length)
})

test('every code has a case', () => {
  const cases = Object.values(SUITES).flat()
  const codes = new Set<string>(cases.flatMap(({ expected }) => ('code' in expected ? [expected.code] : [])))
  // parseHead alone has this code: see above, for each accepted head with a rest.
  if (cases.some((one) => 'first' in one.expected && read(one).mark < read(one).bytes.length))
    codes.add('TRAILING_BYTES')
  expect([...codes].sort()).toEqual(Object.keys(headErrorCodes).sort())
})
