import { expect, test } from 'vitest'
import { Complaint } from '../../bench/common/complaint.ts'
import { readArguments } from '../../bench/proxy/arguments.ts'

const names = (list: readonly { name: string }[]) => list.map(({ name }) => name)

test('without arguments all is run, by the Node of the machine', () => {
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

test('the short form is a few workloads, short and with few rounds, unless others are asked for', () => {
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

test('workloads and peers are picked by name or group, and stay in their order', () => {
  const { workloads, peers, nodes } = readArguments([
    ...['--only', 'open, download', '--peers', 'haproxy http,badass', '--node', 'a', '--node', 'b'],
  ])
  expect(names(workloads)).toEqual(['download', 'open 0', 'open 1000', 'open 3000'])
  expect(names(peers)).toEqual(['badass', 'haproxy http'])
  expect(nodes).toEqual(['a', 'b'])
})

test.each([
  [['--only', 'nothing'], /^--only: no 'nothing'; takes keep-alive, /],
  [['--peers', 'badass,'], /^--peers: no ''; takes badass, /],
  [['--rounds', '0'], /^--rounds: got '0'; takes a number from 1 to 9999$/],
  [['--seconds', '1.5'], /^--seconds: got '1\.5'/],
  [['--long'], /^Unknown option '--long'$/],
  [['proxy'], /^Unexpected argument 'proxy'$/],
])('%j is said to be wrong in one line', (args, message) => {
  const read = () => readArguments(args)
  expect(read).toThrow(Complaint)
  expect(read).toThrow(message)
})
