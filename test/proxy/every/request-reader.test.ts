import type net from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import type { HeadError } from '../../../src/parser/index.ts'
import { RequestReader, type RequestReaderEvents } from '../../../src/proxy/request-reader.ts'
import { head } from './support.ts'

function stream(): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
}

/** A reader whose requests are answered by `answer`, inside the call that delivers the head. */
function read(source: Duplex, answer: (reader: RequestReader) => void) {
  const seen = {
    heads: [] as string[],
    begun: 0,
    endsAfterRequest: 0,
    ends: [] as (HeadError | undefined)[],
    errors: [] as HeadError[],
  }
  const events: RequestReaderEvents = {
    begun: () => void seen.begun++,
    head: (one) => {
      seen.heads.push(one.target)
      answer(reader)
    },
    invalid: (error) => void seen.errors.push(error),
    ended: (error) => void seen.ends.push(error),
    endedAfterRequest: () => void seen.endsAfterRequest++,
  }
  const reader = new RequestReader(source as net.Socket, {}, events)
  return { reader, seen }
}

test('reads 100,000 requests of one read in a loop, and lets other connections run in between', async () => {
  const source = stream()
  const { seen } = read(source, (reader) => reader.next())
  source.emit('data', Buffer.from(head().repeat(100_000)))
  let turns = 0
  for (let count = 0; count < 100_000; turns++) {
    expect(seen.heads.length - count).toBeLessThanOrEqual(100)
    count = seen.heads.length
    await new Promise(setImmediate)
  }
  expect(seen.heads).toHaveLength(100_000)
  expect(turns).toBeGreaterThan(1_000)
})

test('holds the bytes after a request until the next one is requested, and then reports the end', () => {
  const source = stream()
  const { reader, seen } = read(source, () => undefined)
  source.emit('data', Buffer.from(head('', 'GET /a HTTP/1.1') + head('', 'GET /b HTTP/1.1')))
  source.emit('end')
  expect(seen.heads).toEqual(['/a'])
  expect([reader.isDone, source.isPaused()]).toEqual([false, true])
  reader.next()
  expect(seen).toEqual({ heads: ['/a', '/b'], begun: 0, endsAfterRequest: 1, ends: [], errors: [] })
  expect([reader.isDone, source.isPaused()]).toEqual([true, false])
  reader.next()
  expect(seen.ends).toEqual([undefined])
})

test('reports the start of a head, and an end inside it', () => {
  const source = stream()
  const { reader, seen } = read(source, () => undefined)
  source.emit('data', Buffer.from('GET'))
  source.emit('data', Buffer.from(' / '))
  expect([seen.begun, reader.isEmpty]).toEqual([1, false])
  source.emit('end')
  expect(seen.ends.map((error) => error?.code)).toEqual(['INCOMPLETE'])
})

test('starts no request while the client has not read its answer', () => {
  const source = stream()
  const { reader, seen } = read(source, () => {
    Object.defineProperty(source, 'writableNeedDrain', { value: true, configurable: true })
    reader.next()
  })
  source.emit('data', Buffer.from(head().repeat(3)))
  expect([seen.heads.length, source.isPaused()]).toEqual([1, true])
  Object.defineProperty(source, 'writableNeedDrain', { value: false, configurable: true })
  source.emit('drain')
  expect(seen.heads).toHaveLength(2)
})

test('returns its bytes and removes its listeners', () => {
  const source = stream()
  const { reader } = read(source, () => undefined)
  source.emit('data', Buffer.from(`${head()}rest`))
  expect(String(reader.stop())).toBe('rest')
  expect(reader.stop()).toHaveLength(0)
  expect([source.listenerCount('data'), source.listenerCount('end'), source.isPaused()]).toEqual([0, 0, true])
})
