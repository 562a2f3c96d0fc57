import { expect, type TestContext, test } from 'vitest'
import { HeadScanner } from '../../src/parser/index.ts'
import { listen } from '../helpers/net.ts'
import { startProxy } from '../helpers/proxy.ts'
import { report } from '../helpers/report.ts'
import { buildCorpus } from './corpus.ts'
import { DISAGREEMENTS, type Disagreement, RELEASES, type Who } from './disagreements.ts'
import { recordBytes, sendAll } from './lanes.ts'
import { nodePeer, PROGRAMS, startProgram, versionOf } from './peers.ts'
import { type Reading, readingOf } from './reading.ts'
import { judge } from './reference.ts'

const CORPUS = buildCorpus()
const MAJOR = Number.parseInt(process.versions.node, 10)

/** What badass makes of a stream: the code that it refuses it with, or what its Head says. */
function readByBadass(stream: string): string | Reading {
  const scanner = new HeadScanner('request')
  const verdict = scanner.push(Buffer.from(stream, 'latin1'))
  if (verdict === 'invalid') return scanner.error!.code
  if (verdict === 'more') return scanner.end().code
  return readingOf(scanner.head!, scanner.rest.toString('latin1'))
}

const OURS = CORPUS.map(readByBadass)
const isForwarded = (ours: string | Reading): ours is Reading => typeof ours !== 'string'

/** One head on which somebody and badass are not of one mind. */
interface Difference {
  does: Disagreement['does']
  code: string | undefined
  stream: string
}

/** Holds what there is against the list: each has its entry, and each entry has something. */
function expectListed(who: Who, differences: Difference[]): void {
  const entries = DISAGREEMENTS.filter((one) => one.who === who)
  const used = new Set<Disagreement>()
  const unlisted = differences.filter(({ does, code, stream }) => {
    const entry = entries.find(
      ({ does: listed, heads }) => listed === does && (typeof heads === 'string' ? heads === code : heads.test(stream)),
    )
    if (entry) used.add(entry)
    return !entry
  })
  const texts = unlisted.map(({ does, code, stream }) => `${does} ${code ?? ''} ${JSON.stringify(stream)}`)
  const step = Math.ceil(texts.length / 20)
  const samples = texts.filter((_, i) => i % step === 0)
  expect(samples, `${texts.length} are not listed, such as`).toEqual([])
  const stale = entries.filter((entry) => !entry.varies && !used.has(entry))
  expect(
    stale.map(({ does, heads }) => `${does} ${heads}`),
    'listed, and nothing there',
  ).toEqual([])
}

test('badass refuses all that the RFC has refused, and says why it refuses more', () => {
  const differences = CORPUS.flatMap((stream, i): Difference[] => {
    const { verdict, why } = judge(stream)
    const ours = OURS[i]!
    if (verdict === 'must refuse' && isForwarded(ours)) throw new Error(`sent on, ${why}: ${JSON.stringify(stream)}`)
    if (verdict === 'should refuse' && isForwarded(ours)) return [{ does: 'refuses', code: undefined, stream }]
    if (verdict === 'take' && !isForwarded(ours)) return [{ does: 'takes', code: ours, stream }]
    return []
  })
  expectListed('rfc', differences)
})

test('what badass takes comes to the backend byte for byte, and of what it refuses not one byte', async () => {
  const results = await sendAll(CORPUS, async () => {
    const backend = recordBytes()
    const port = await listen(backend.server)
    const proxy = await startProxy(() => ({ port, host: '127.0.0.1' }))
    return { to: { port: proxy.port, host: '127.0.0.1' }, take: () => backend.take() }
  })
  const wrong = results.filter(({ answer, outcome }, i) => {
    const isTaken = isForwarded(OURS[i]!)
    const expected = isTaken ? [CORPUS[i]!.replace(/^\r\n/, '')] : []
    const isAnswered = isTaken ? answer.startsWith('HTTP/1.1 200 ') : /^HTTP\/1\.1 4\d\d /.test(answer)
    return !isAnswered || outcome.length !== expected.length || outcome[0] !== expected[0]
  })
  expect(wrong.slice(0, 20)).toEqual([])
  const forwarded = OURS.filter(isForwarded).length
  report(
    'hostile heads sent',
    `${CORPUS.length}: ${forwarded} forwarded byte for byte, ${CORPUS.length - forwarded} refused`,
  )
})

/** How a reader's requests differ from what badass reads; undefined where they do not. */
function differenceOf(ours: string | Reading, [first, second]: Reading[]): Disagreement['does'] | undefined {
  if (!isForwarded(ours)) return first?.isWhole ? 'takes' : undefined
  // A body that never comes to its end is as good a reason as any to send nothing on.
  if (first === undefined) return ours.isWhole ? 'refuses' : undefined
  const theirs: Reading = { ...first, next: second?.target }
  const keys = (Object.keys(ours) as (keyof Reading)[]).filter((key) => ours[key] !== theirs[key])
  // Where a reader stops after the first request, the body has told where the next would have been.
  const others = theirs.next === undefined ? keys.filter((key) => key !== 'next') : keys
  return others.length === 0 ? undefined : `reads ${others.join()}`
}

const READERS: [who: 'node' | 'nginx' | 'haproxy', name: string][] = [
  ['node', `Node ${MAJOR}`],
  ['nginx', `nginx ${RELEASES.nginx}`],
  ['haproxy', `haproxy ${RELEASES.haproxy}`],
]

test.for(READERS)('%s reads what badass takes as badass does, or is listed', async ([who, name], context) => {
  const peer = who === 'node' ? nodePeer : await start(who, context)
  const results = await sendAll(CORPUS, peer)
  const differences = results.flatMap(({ outcome }, i): Difference[] => {
    const ours = OURS[i]!
    const does = differenceOf(ours, outcome)
    return does ? [{ does, code: isForwarded(ours) ? undefined : ours, stream: CORPUS[i]! }] : []
  })
  const count = (kind: string) => differences.filter(({ does }) => does.startsWith(kind)).length
  const figures = `${count('takes')} it takes that badass refuses, ${count('refuses')} it refuses that badass takes`
  expectListed(who, differences)
  report(`hostile heads read by ${name}`, `${figures}, ${count('reads')} read otherwise (all listed)`)
})

/** Where the program is missing the test is skipped, and in CI it fails. */
async function start(who: 'nginx' | 'haproxy', { skip }: Pick<TestContext, 'skip'>) {
  const version = versionOf(PROGRAMS[who])
  if (version === undefined && process.env.CI) throw new Error(`this test needs ${who}, and it is not installed`)
  skip(version === undefined, `${who} is not installed`)
  skip(version !== RELEASES[who], `the list is of ${who} ${RELEASES[who]}; this is ${version}`)
  return startProgram(PROGRAMS[who])
}
