import fc from 'fast-check'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { type Head, HeadScanner } from '../../../src/parser/index.ts'
import { StickyCookie } from '../../../src/sticky/cookie.ts'
import { report } from '../../helpers/report.ts'
import { COOKIE_CASES, EDITS_CASES, SCANNER_CASES } from './cases.ts'
import { cookieTarget } from './cookies.ts'
import { type Edited, editsTarget } from './edits.ts'
import { scannerTarget } from './scanner.ts'
import type { Target } from './target.ts'

/** `FUZZ_RUNS=1000000 npx vitest run test/torture/fuzz` runs for longer. FUZZ_SEED repeats the same inputs. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 3_000)
const SEED = process.env.FUZZ_SEED === undefined ? Date.now() & 0x7fffffff : Number(process.env.FUZZ_SEED)

vi.setConfig({ testTimeout: 60_000 + 10 * RUNS })

/** Seeds that are run each time, because they are known to reach every branch. */
const SEEDS = [1, 20_120_501]

function hunt<T>({ arbitrary, check }: Target<T>, seed: number, numRuns: number) {
  return fc.check(fc.property(arbitrary, check), { seed, numRuns })
}

/** Throws with the shrunk input in the form of cases.ts. */
function expectNothing<T>(target: Target<T>, cases: readonly T[]): void {
  for (const one of cases) target.check(one)
  for (const [seed, runs] of [...SEEDS.map((seed) => [seed, 1_000] as const), [SEED, RUNS] as const]) {
    const { counterexample, errorInstance } = hunt(target, seed, runs)
    if (!counterexample) continue
    throw new Error(`FUZZ_SEED=${seed} found ${JSON.stringify(counterexample[0])}`, { cause: errorInstance })
  }
}

describe(`seed ${SEED}`, () => {
  test('scans any bytes in any pieces', () => expectNothing(scannerTarget(), SCANNER_CASES))
  test('applies any edits of a head, or throws', () => expectNothing(editsTarget(), EDITS_CASES))
  test('reads back its own sticky cookies only', () => expectNothing(cookieTarget(), COOKIE_CASES))
})

/** A scanner that accepts a CR without LF at the end of a chunk. */
class Forgetful extends HeadScanner {
  #isAfterCr = false

  override push(chunk: Uint8Array) {
    if (chunk.length === 0) return super.push(chunk)
    const isMissing = this.#isAfterCr && chunk[0] !== 0x0a
    this.#isAfterCr = chunk.at(-1) === 0x0d
    return super.push(isMissing ? Buffer.concat([Buffer.from('\n'), chunk]) : chunk)
  }
}

/** A scanner that accepts LF as a line end. */
class Lenient extends HeadScanner {
  #last = 0
  #rest = Buffer.alloc(0)

  override get rest(): Buffer {
    return this.#rest
  }

  override push(chunk: Uint8Array) {
    for (const [i, byte] of chunk.entries()) {
      if (byte === 0x0a && this.#last !== 0x0d) super.push(Buffer.from('\r'))
      this.#last = byte
      const verdict = super.push(Buffer.of(byte))
      if (verdict === 'more') continue
      this.#rest = Buffer.from(chunk.subarray(i + 1))
      return verdict
    }
    return 'more'
  }
}

/** A head that checks appended values for LF, but not for CR. */
function leaky(head: Head): Edited {
  const hidden = '\xb6\xb7\xb6'
  return new Proxy(head, {
    get(target, key) {
      if (key === 'append') return (name: string, value: string) => target.append(name, value.replaceAll('\r', hidden))
      if (key === 'bytes')
        return () => Buffer.from(target.bytes().toString('latin1').replaceAll(hidden, '\r'), 'latin1')
      const value = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, key, value) => Reflect.set(target, key, value),
  })
}

/** A cookie whose signature is compared without its last character. */
class Hasty extends StickyCookie {
  #sent = ''

  override write(head: Head, value: string): void {
    super.write(head, value)
    this.#sent = head.getAll('set-cookie').at(-1)!.split(';')[0]!
  }

  override read(head: Head): string | undefined {
    const cookies = head.get('cookie')!.split(';')
    const all = cookies.map((one) => (one.trim().slice(0, -1) === this.#sent.slice(0, -1) ? ` ${this.#sent}` : one))
    return super.read(head.set('Cookie', all.join(';')))
  }
}

describe('finds a planted bug within the runs of CI', () => {
  const found: string[] = []

  const find = <T>(target: Target<T>) => hunt(target, SEEDS[0]!, 3_000).counterexample

  test.for<[what: string, find: () => unknown]>([
    ['a scanner that forgets its state between chunks', () => find(scannerTarget((kind) => new Forgetful(kind)))],
    ['a scanner that accepts LF as a line end', () => find(scannerTarget((kind) => new Lenient(kind)))],
    ['an edit without a check for CR', () => find(editsTarget(leaky))],
    [
      'a signature that is compared without its last character',
      () => find(cookieTarget((options) => new Hasty(options))),
    ],
  ])('%s', ([what, find]) => {
    const counterexample = find()
    expect(counterexample).not.toBeNull()
    found.push(what)
  })

  afterAll(() =>
    report('fuzzing', `${RUNS} runs each of scanner, edits and cookies; planted bugs found: ${found.length} of 4`),
  )
})
