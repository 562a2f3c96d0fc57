import { expect, type TestContext, test } from 'vitest'
import { HeadScanner } from '../../../src/parser/index.ts'
import { listen } from '../../helpers/net.ts'
import { startProxy } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'
import { buildCorpus } from './corpus.ts'
import { DISAGREEMENTS, type Disagreement, RELEASES, type Who } from './disagreements.ts'
import { recordBytes, sendAll } from './lanes.ts'
import { nodePeer, PROGRAMS, startProgram, versionOf } from './peers.ts'
import { type Reading, readingOf } from './reading.ts'
import { judge } from './reference.ts'

const CORPUS = buildCorpus()
const MAJOR = Number.parseInt(process.versions.node, 10)

/** How badass reads a stream: the code of its refusal, or a Reading. */
function readByBadass(stream: string): string | Reading {
  const scanner = new HeadScanner('request')
  const verdict = scanner.push(Buffer.from(stream, 'latin1'))
  if (verdict === 'invalid') return scanner.error!.code
  if (verdict === 'more') return scanner.end().code
  return readingOf(scanner.head!, scanner.rest.toString('latin1'))
}

const OURS = CORPUS.map(readByBadass)
const isForwarded = (ours: string | Reading): ours is Reading => typeof ours !== 'string'

/** A head on which another parser and badass disagree. */
interface Difference {
  does: Disagreement['does']
  code: string | undefined
  stream: string
}

/** Checks that every difference is listed, and that every entry has a difference. */
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
    'listed without a difference',
  ).toEqual([])
}

test('badass refuses every head that the RFC refuses, and the list explains the others', () => {
  const differences = CORPUS.flatMap((stream, i): Difference[] => {
    const { verdict, why } = judge(stream)
    const ours = OURS[i]!
    if (verdict === 'must refuse' && isForwarded(ours)) throw new Error(`forwarded, ${why}: ${JSON.stringify(stream)}`)
    if (verdict === 'should refuse' && isForwarded(ours)) return [{ does: 'refuses', code: undefined, stream }]
    if (verdict === 'accept' && !isForwarded(ours)) return [{ does: 'accepts', code: ours, stream }]
    return []
  })
  expectListed('rfc', differences)
})

/** What badass forwards: the stream without an empty line, with the authority of the target in Host (RFC 9112 3.2.2). */
function forwarded(stream: string): string {
  const came = stream.replace(/^\r\n/, '')
  const [, host] = /^(?!CONNECT)\S+ [^ /]+:\/\/([^ /?]*)/.exec(came) ?? []
  const scanner = new HeadScanner('request')
  scanner.push(Buffer.from(stream, 'latin1'))
  const sent = scanner.head!.bytes().toString('latin1') + scanner.rest.toString('latin1')
  const hostLine = /^host:.*\r\n/im
  if (sent === came || host === undefined) return came
  expect([sent.replace(hostLine, ''), scanner.head!.getAll('host')]).toEqual([came.replace(hostLine, ''), [host]])
  return sent
}

test('badass forwards accepted heads byte for byte, and no byte of refused ones', async () => {
  const results = await sendAll(CORPUS, async () => {
    const backend = recordBytes()
    const port = await listen(backend.server)
    const proxy = await startProxy(() => ({ port, host: '127.0.0.1' }))
    return { to: { port: proxy.port, host: '127.0.0.1' }, take: () => backend.take() }
  })
  const wrong = results.filter(({ answer, outcome }, i) => {
    const isAccepted = isForwarded(OURS[i]!)
    const expected = isAccepted ? [forwarded(CORPUS[i]!)] : []
    const isAnswered = isAccepted ? answer.startsWith('HTTP/1.1 200 ') : /^HTTP\/1\.1 (?:4\d\d|505) /.test(answer)
    return !isAnswered || outcome.length !== expected.length || outcome[0] !== expected[0]
  })
  expect(wrong.slice(0, 20)).toEqual([])
  const count = OURS.filter(isForwarded).length
  report('hostile heads sent', `${CORPUS.length}: ${count} forwarded byte for byte, ${CORPUS.length - count} refused`)
})

/** How another parser's reading differs; undefined if it does not. */
function differenceOf(ours: string | Reading, [first, second]: Reading[]): Disagreement['does'] | undefined {
  if (!isForwarded(ours)) return first?.isWhole ? 'accepts' : undefined
  // A server need not forward a request whose body does not end.
  if (first === undefined) return ours.isWhole ? 'refuses' : undefined
  const theirs: Reading = { ...first, next: second?.target }
  const keys = (Object.keys(ours) as (keyof Reading)[]).filter((key) => ours[key] !== theirs[key])
  // If a server stops after the first request, its body shows where the next one would start.
  const others = theirs.next === undefined ? keys.filter((key) => key !== 'next') : keys
  return others.length === 0 ? undefined : `reads ${others.join()}`
}

const READERS: [who: 'node' | 'nginx' | 'haproxy', name: string][] = [
  ['node', `Node ${MAJOR}`],
  ['nginx', `nginx ${RELEASES.nginx}`],
  ['haproxy', `haproxy ${RELEASES.haproxy}`],
]

test.for(READERS)(
  '%s reads what badass forwards in the same way, except for listed differences',
  async ([who, name], context) => {
    const peer = who === 'node' ? nodePeer : await start(who, context)
    // Each server gets what badass forwards, or the original bytes if badass refuses them.
    const streams = CORPUS.map((stream, i) => (isForwarded(OURS[i]!) ? forwarded(stream) : stream))
    const results = await sendAll(streams, peer)
    const differences = results.flatMap(({ outcome }, i): Difference[] => {
      const ours = OURS[i]!
      const does = differenceOf(ours, outcome)
      return does ? [{ does, code: isForwarded(ours) ? undefined : ours, stream: CORPUS[i]! }] : []
    })
    const count = (kind: string) => differences.filter(({ does }) => does.startsWith(kind)).length
    const figures = `accepts ${count('accepts')} that badass refuses, refuses ${count('refuses')} that badass accepts`
    expectListed(who, differences)
    report(`hostile heads read by ${name}`, `${figures}, reads ${count('reads')} differently (all listed)`)
  },
)

/** Skips the test if the program is missing. In CI that is an error. */
async function start(who: 'nginx' | 'haproxy', { skip }: Pick<TestContext, 'skip'>) {
  const version = versionOf(PROGRAMS[who])
  if (version === undefined && process.env.CI) throw new Error(`this test needs ${who}, and it is not installed`)
  skip(version === undefined, `${who} is not installed`)
  skip(version !== RELEASES[who], `the list is of ${who} ${RELEASES[who]}; this is ${version}`)
  return startProgram(PROGRAMS[who])
}
