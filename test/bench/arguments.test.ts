import { expect, test } from 'vitest'
import { readDuration } from '../../bench/common/arguments.ts'
import { Complaint } from '../../bench/common/complaint.ts'
import { readArguments } from '../../bench/proxy/arguments.ts'

const names = (list: readonly { name: string }[]) => list.map(({ name }) => name)

test('without arguments, all workloads and peers are run', () => {
  const { workloads, peers, nodes, isShort, isGate, out } = readArguments([])
  expect(names(workloads)).toEqual(expect.arrayContaining(['keep-alive', 'upload', 'idle tunnels', 'scale 3000']))
  expect(names(peers)).toEqual(expect.arrayContaining(['badass cli', 'haproxy sticky', 'fast-proxy']))
  expect({ nodes, isShort, isGate, out }).toEqual({
    nodes: [process.execPath],
    isShort: false,
    isGate: false,
    out: undefined,
  })
})

test('the short form has few workloads and short rounds, unless options say otherwise', () => {
  const short = readArguments(['--short'])
  expect(names(short.workloads)).toEqual(['keep-alive', 'one request a connection', 'download', 'websocket 64 B'])
  expect(short).toMatchObject({ rounds: 3, seconds: 1 })
  const { rounds, seconds, workloads } = readArguments([
    '--short',
    '--rounds',
    '7',
    '--seconds',
    '2',
    '--only',
    'upload',
  ])
  expect({ rounds, seconds, workloads: names(workloads) }).toEqual({ rounds: 7, seconds: 2, workloads: ['upload'] })
})

test('workloads and peers are chosen by name or group, and keep their order', () => {
  const { workloads, peers, nodes } = readArguments([
    ...['--only', 'open, download', '--peers', 'haproxy http,badass', '--node', 'a', '--node', 'b'],
  ])
  expect(names(workloads)).toEqual(['download', 'open 0', 'open 1000', 'open 3000'])
  expect(names(peers)).toEqual(['badass', 'haproxy http'])
  expect(nodes).toEqual(['a', 'b'])
})

test.each([
  [['--only', 'nothing'], /^--only: expected keep-alive, .*, got 'nothing'$/],
  [['--peers', 'badass,'], /^--peers: expected badass, .*, got ''$/],
  [['--rounds', '0'], /^--rounds: expected a number from 1 to 9999, got '0'$/],
  [['--seconds', '1.5'], /^--seconds: .*, got '1\.5'$/],
  [['--long'], /^Unknown option '--long'$/],
  [['proxy'], /^Unexpected argument 'proxy'$/],
])('%j is refused in one line', (args, message) => {
  const read = () => readArguments(args)
  expect(read).toThrow(Complaint)
  expect(read).toThrow(message)
})

test('a duration has seconds, minutes or hours', () => {
  expect(['45', '45s', '2m', '1h', undefined].map((text) => readDuration('--duration', text, 7))).toEqual([
    45, 45, 120, 3600, 7,
  ])
  expect(() => readDuration('--duration', '0', 7)).toThrow(
    "--duration: expected a time such as 45s, 20m or 1h, got '0'",
  )
})
