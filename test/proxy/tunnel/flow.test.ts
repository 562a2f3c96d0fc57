import { PassThrough, Readable, Writable } from 'node:stream'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Flow, type FlowState } from '../../../src/proxy/tunnel/flow.ts'
import { turn, turns } from '../../helpers/turns.ts'

/** A sink that completes a write each time it is told to. */
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
  test('moves everything and then the end: open, ended, flushed', async () => {
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

  test('waits for a full sink to drain before it reads', async () => {
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

  test('reports each state once after discard()', async () => {
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

  test('reads on after discard(), and is flushed at its end', async () => {
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

  test('slows down an endless source after discard()', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const piece = Buffer.alloc(1 << 22)
    let read = 0
    const source = new Readable({ read: () => void source.push(piece), highWaterMark: 1 })
    const { flow } = start(source, slowSink().sink)
    source.on('data', () => read++)
    source.pause()
    flow.start()
    flow.discard()
    for (let round = 1; round <= 10; round++) {
      await turns(20)
      expect(read).toBeGreaterThanOrEqual(round)
      // The first 16 MiB are dropped at once.
      expect(read).toBeLessThanOrEqual(4 + 2 * round)
      vi.runOnlyPendingTimers()
    }
    flow.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('leaves no listener and a paused source after stop()', () => {
    const { sink } = slowSink()
    const source = new PassThrough()
    const { flow } = start(source, sink)
    const before = [...sink.eventNames(), ...source.eventNames()]
    flow.start()
    flow.stop()
    expect([...sink.eventNames(), ...source.eventNames()]).toEqual(before)
    expect(source.isPaused()).toBe(true)
  })

  describe('keeps up', () => {
    afterEach(() => void vi.useRealTimers())

    test('when its sink has accepted 16 MiB, until the sink is slow', async () => {
      vi.useFakeTimers({ toFake: ['performance'] })
      let waiting = () => {}
      const sink = new Writable({
        highWaterMark: 1,
        write(_chunk, _encoding, done) {
          waiting = done
        },
      })
      const source = new PassThrough()
      const { flow } = start(source, sink)
      flow.start()
      const move = async (ms: number) => {
        source.write(Buffer.alloc(1 << 20))
        await turns(3)
        vi.advanceTimersByTime(ms)
        waiting()
        await turns(3)
      }
      for (let i = 0; i < 15; i++) await move(10)
      expect(flow.keepsUp).toBe(false)
      await move(10)
      expect(flow.keepsUp).toBe(true)
      await move(100)
      expect(flow.keepsUp).toBe(false)
      for (let i = 0; i < 16; i++) await move(10)
      expect(flow.keepsUp).toBe(true)
    })
  })
})
