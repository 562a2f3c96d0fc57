import { PassThrough, Readable, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { Flow, type FlowState } from '../../src/proxy/flow.ts'
import { turn, turns } from '../helpers/turns.ts'

/** A sink that takes a chunk each time it is told to. */
function slowSink() {
  const taken: string[] = []
  const waiting: (() => void)[] = []
  const sink = new Writable({
    highWaterMark: 4,
    write(chunk, _encoding, done) {
      taken.push(String(chunk))
      waiting.push(done)
    },
  })
  return { sink, taken, take: () => waiting.shift()?.() }
}

function start(source: Readable, sink: Writable) {
  const states: FlowState[] = []
  const counts: number[] = []
  const flow = new Flow(source, sink, {
    moved: (_, count) => counts.push(count),
    changed: ({ state }) => states.push(state),
  })
  return { flow, states, counts }
}

describe('a flow', () => {
  test('moves everything, and then the end: open, ended, flushed', async () => {
    const { sink, taken, take } = slowSink()
    const { flow, states, counts } = start(Readable.from([Buffer.from('one'), 'zwölf']), sink)
    expect(flow.state).toBe('open')
    flow.start()
    while (flow.state !== 'flushed') {
      take()
      await turn()
    }
    expect(taken).toEqual(['one', 'zwölf'])
    expect(states).toEqual(['ended', 'flushed'])
    expect(counts.filter((count) => count > 0)).toEqual([3, 6])
  })

  test('does not read for a sink that is full already, until that has drained', async () => {
    const { sink, take } = slowSink()
    const source = new PassThrough()
    source.pause()
    source.write('later')
    expect(sink.write('full')).toBe(false)
    const { flow, counts } = start(source, sink)
    flow.start()
    await turns(3)
    expect(source.readableLength).toBe(5)
    expect(counts).toEqual([])
    take()
    await turns(3)
    expect(source.readableLength).toBe(0)
    expect(counts).toEqual([0, 5])
  })

  test('that discards tells of each state once, whatever the sink does after it', async () => {
    const { sink, take } = slowSink()
    const source = new PassThrough()
    const { flow, states } = start(source, sink)
    flow.start()
    source.end('last')
    while (flow.state !== 'ended') await turn()
    flow.discard()
    flow.discard()
    take()
    await turns(3)
    expect(sink.writableFinished).toBe(true)
    expect(states).toEqual(['ended', 'flushed'])
  })

  test('that discards reads on, and its end is as good as flushed', async () => {
    const { sink, taken } = slowSink()
    const source = new PassThrough()
    const { flow, states } = start(source, sink)
    flow.start()
    flow.discard()
    source.write('unheard')
    source.end()
    while (flow.state !== 'flushed') await turn()
    expect(taken).toEqual([])
    expect(states).toEqual(['flushed'])
  })

  test('that is stopped leaves no listener, and a paused source', () => {
    const { sink } = slowSink()
    const source = new PassThrough()
    const { flow } = start(source, sink)
    const before = [...sink.eventNames(), ...source.eventNames()]
    flow.start()
    flow.stop()
    expect([...sink.eventNames(), ...source.eventNames()]).toEqual(before)
    expect(source.isPaused()).toBe(true)
  })
})
