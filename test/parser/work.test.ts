import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { HeadScanner, parseHead } from '../../src/parser/index.ts'
import { cutAt, latin1 } from './feed.ts'
import { Tally } from './tally.ts'

const BROWSER =
  'GET http://example.com/some/path?a=b HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n' +
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8 \t\r\nAccept-Language:en-US,en;q=0.9\r\n' +
  'Empty:\r\nTransfer-Encoding: gzip, chunked\r\nCookie: session=0123456789abcdef\r\n\r\n'
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nX:  \t y \t\r\nE:\r\n\r\n'

/** A request of about `length` bytes, made of one field line. */
function requestOf(length: number, field: string): string {
  const start = 'GET / HTTP/1.1\r\nHost: a\r\n'
  const count = Math.floor((length - start.length - 2) / field.length)
  return `${start}${field.repeat(count)}\r\n`
}

/** Cuts the bytes into pieces of `size`. */
const pieces = (bytes: Buffer, size: number) =>
  cutAt(
    bytes,
    Array.from({ length: Math.ceil(bytes.length / size) - 1 }, (_, i) => (i + 1) * size),
  )

function work(kind: 'request' | 'response', chunks: Buffer[]): Tally {
  const tally = new Tally()
  const scanner = new HeadScanner(kind, { maxHeadBytes: 1_000_000, maxFields: 1_000_000 })
  tally.watch(() => {
    for (const chunk of chunks) if (!scanner.head) scanner.push(tally.counted(chunk))
  })
  expect(scanner.error).toBeUndefined()
  expect(scanner.head).toBeDefined()
  return tally
}

describe('bytes read', () => {
  test('reads each byte of a response once however it is cut', () => {
    const bytes = latin1(RESPONSE)
    const { looks } = work('response', [bytes])
    // The rules read the version and the first bytes of the names again.
    expect(looks).toBeLessThan(bytes.length + 8 + 24)
    for (let size = 1; size <= bytes.length; size++) {
      expect(work('response', pieces(bytes, size)).looks, `pieces of ${size}`).toBe(looks)
    }
  })

  test.for([BROWSER, `\r\n${BROWSER}`])('reads the same number of bytes however a request is cut', (text) => {
    const bytes = latin1(text)
    const { looks } = work('request', [bytes])
    expect(looks).toBeLessThan(2 * bytes.length)
    for (let size = 1; size <= bytes.length; size++) {
      expect(work('request', pieces(bytes, size)).looks, `pieces of ${size}`).toBe(looks)
    }
    for (let at = 0; at <= bytes.length; at++) {
      expect(work('request', cutAt(bytes, [at])).looks, `cut at ${at}`).toBe(looks)
    }
  })

  test.for([
    'a:\r\n',
    `name: value \t\r\n`,
    `X: ${'x'.repeat(990)}\r\n`,
    `X:${' '.repeat(990)}\r\n`,
    `${'n'.repeat(990)}:\r\n`,
  ])('does O(n) work for fields like %j', (field) => {
    const looks = (length: number, size: number) => {
      const bytes = latin1(requestOf(length, field))
      return work('request', pieces(bytes, size)).looks / bytes.length
    }
    for (const length of [2_000, 16_000, 64_000]) {
      expect(looks(length, length)).toBeLessThan(1.5)
      expect(looks(length, 1)).toBe(looks(length, length))
    }
  })

  test('reads a head that never ends once, up to the limit', () => {
    const tally = new Tally()
    const scanner = new HeadScanner('request', { maxHeadBytes: 1_000 })
    const chunk = tally.counted(latin1('A'))
    const verdicts = tally.watch(() => Array.from({ length: 10_000 }, () => scanner.push(chunk)))
    expect(verdicts.indexOf('invalid')).toBe(1_000)
    expect(new Set(verdicts)).toEqual(new Set(['more', 'invalid']))
    expect(scanner.error).toMatchObject({ code: 'HEAD_TOO_LARGE', status: 431, offset: 1_000 })
    expect(tally.looks).toBe(1_001)
    expect(Math.max(...tally.allocations)).toBeLessThanOrEqual(1_000)
  })
})

describe('bytes copied', () => {
  test('none for a head in one chunk', () => {
    for (const text of [BROWSER, `\r\n${BROWSER}`, `${BROWSER}rest`]) {
      const tally = work('request', [latin1(text)])
      expect([tally.copied, tally.allocations]).toEqual([0, []])
    }
  })

  test('none for an empty line in its own chunk', () => {
    for (const chunks of [
      ['\r\n', BROWSER],
      ['\r', '\n', BROWSER],
      ['\r', `\n${BROWSER}`],
      ['', BROWSER],
    ]) {
      const tally = work('request', chunks.map(latin1))
      expect([tally.copied, tally.allocations], JSON.stringify(chunks)).toEqual([0, []])
    }
  })

  test('one copy of a head in two chunks', () => {
    const bytes = latin1(BROWSER)
    const tally = work('request', [bytes.subarray(0, 300), Buffer.concat([bytes.subarray(300), latin1('rest')])])
    expect(tally.copied).toBe(bytes.length)
    expect(tally.allocations).toHaveLength(1)
  })

  test('at most three copies of a head in single bytes', () => {
    for (const length of [2_000, 16_000, 64_000]) {
      const bytes = latin1(requestOf(length, 'name: value\r\n'))
      expect(work('request', pieces(bytes, 1)).copied).toBeLessThanOrEqual(3 * bytes.length)
    }
  })
})

describe('memory', () => {
  test('the head and the rest of one chunk are views of it', () => {
    const chunk = Buffer.from(new ArrayBuffer(BROWSER.length + 6))
    chunk.write(`\r\n${BROWSER}rest`, 'latin1')
    const scanner = new HeadScanner('request')
    expect(scanner.push(chunk)).toBe('head')
    const bytes = scanner.head!.bytes()
    expect(bytes.buffer).toBe(chunk.buffer)
    expect([bytes.byteOffset, bytes.length]).toEqual([2, BROWSER.length])
    expect(scanner.rest.buffer).toBe(chunk.buffer)
    expect([scanner.rest.byteOffset, scanner.rest.length]).toEqual([2 + BROWSER.length, 4])
    expect(parseHead(chunk.subarray(0, -4), 'request').bytes().buffer).toBe(chunk.buffer)
  })

  test('a head that fills its chunk is that chunk', () => {
    const chunk = latin1(BROWSER)
    expect(parseHead(chunk, 'request').bytes()).toBe(chunk)
  })

  test('the rest after a cut head is a view of the last chunk', () => {
    const scanner = new HeadScanner('request')
    scanner.push(latin1(BROWSER.slice(0, 100)))
    const last = Buffer.from(new ArrayBuffer(BROWSER.length - 100 + 4))
    last.write(`${BROWSER.slice(100)}rest`, 'latin1')
    expect(scanner.push(last)).toBe('head')
    expect(scanner.rest.buffer).toBe(last.buffer)
    expect(scanner.rest.toString()).toBe('rest')
    expect(scanner.head!.bytes().buffer).not.toBe(last.buffer)
  })

  test('heads that never end keep no more than their limit, and no chunk', () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const held = () => {
      collect()
      collect()
      return process.memoryUsage().arrayBuffers
    }
    const maxHeadBytes = 2_048
    const before = held()
    const scanners = Array.from({ length: 200 }, () => {
      const scanner = new HeadScanner('request', { maxHeadBytes })
      // Views of 64 KiB chunks, as sockets read them. Keeping a view would keep its chunk.
      for (let i = 0; i < maxHeadBytes / 64; i++) {
        expect(scanner.push(Buffer.alloc(65_536, 'A').subarray(0, 64))).toBe('more')
      }
      return scanner
    })
    const full = held()
    expect(full - before).toBeGreaterThanOrEqual(scanners.length * maxHeadBytes)
    // The last chunk may still be alive.
    expect(full - before).toBeLessThan(scanners.length * maxHeadBytes + 100_000)
    for (const scanner of scanners) expect(scanner.push(latin1('A'))).toBe('invalid')
    expect(held() - before).toBeLessThan(100_000)
  })
})
