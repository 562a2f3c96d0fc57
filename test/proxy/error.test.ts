import { describe, expect, test } from 'vitest'
import { HeadError, ProxyError } from '../../src/index.ts'
import { parseHead } from '../../src/parser/index.ts'
import { type ProxyErrorCode, proxyErrorCodes } from '../../src/proxy/index.ts'
import { reply } from '../../src/proxy/reply.ts'
import { answer, withoutDate } from '../helpers/proxy.ts'

const STATUS: Record<ProxyErrorCode, number | undefined> = {
  UNTRUSTED_PROXY: undefined,
  BAD_PROXY_HEADER: undefined,
  PROXY_HEADER_TIMEOUT: undefined,
  BAD_HEAD: 400,
  HTTP2_REFUSED: 505,
  HTTP2_EXPECTED: undefined,
  BAD_REQUEST_BODY: 400,
  HEAD_TIMEOUT: 408,
  NO_DESTINATION: 503,
  LOOKUP_FAILED: 503,
  CONNECT_FAILED: 502,
  CONNECT_TIMEOUT: 504,
  ERRBACK_FAILED: undefined,
  REQUEST_BODY_TIMEOUT: 408,
  REQUEST_SEND_TIMEOUT: 504,
  BAD_RESPONSE_HEAD: 502,
  UNASKED_UPGRADE: 502,
  BAD_RESPONSE_BODY: undefined,
  RESPONSE_BODY_TIMEOUT: undefined,
  NO_RESPONSE: 502,
  RESPONSE_HEAD_TIMEOUT: 504,
  MODIFY_FAILED: 502,
  REPLY_FAILED: undefined,
  CLIENT_GONE: undefined,
  CLIENT_RESET: undefined,
  BACKEND_RESET: undefined,
  DESTROYED: undefined,
  IDLE_TIMEOUT: undefined,
  HALF_CLOSE_TIMEOUT: undefined,
}

function headError(text: string, limits = {}): HeadError {
  try {
    parseHead(Buffer.from(text), 'request', limits)
  } catch (cause) {
    if (cause instanceof HeadError) return cause
  }
  throw new Error('no HeadError')
}

describe('ProxyError', () => {
  for (const [code, status] of Object.entries(STATUS) as [ProxyErrorCode, number | undefined][]) {
    test(`${code} has status ${status}, and its meaning in the message`, () => {
      const error = new ProxyError(code, 'connect')
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({ name: 'ProxyError', code, phase: 'connect', status })
      expect(error.message).toBe(`${code}: ${proxyErrorCodes[code][1]}`)
      expect('cause' in error).toBe(false)
    })
  }

  test('the table has no other codes', () => {
    expect(Object.keys(proxyErrorCodes)).toEqual(Object.keys(STATUS))
  })

  test('keeps its cause and includes the message of the cause', () => {
    const cause = new Error('connect ECONNREFUSED')
    const error = new ProxyError('CONNECT_FAILED', 'connect', cause)
    expect(error.cause).toBe(cause)
    expect(error.message).toBe('CONNECT_FAILED: the backend could not be reached: connect ECONNREFUSED')
  })

  test('includes the code of a cause without a message', () => {
    const cause = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
    expect(new ProxyError('CONNECT_FAILED', 'connect', cause).message).toMatch(/: ECONNREFUSED$/)
    expect(new ProxyError('CONNECT_FAILED', 'connect', new TypeError()).message).toMatch(/: TypeError$/)
  })

  test('accepts a cause that is not an Error', () => {
    const error = new ProxyError('LOOKUP_FAILED', 'lookup', 'a string')
    expect(error).toMatchObject({
      cause: 'a string',
      message: 'LOOKUP_FAILED: lookup threw, rejected, or returned a bad Dest or Response',
    })
    for (const cause of [null, 0, false]) expect(new ProxyError('LOOKUP_FAILED', 'lookup', cause).cause).toBe(cause)
  })

  test('has the status of a HeadError: 400, or 431 at a limit', () => {
    expect(new ProxyError('BAD_HEAD', 'head', headError('x\r\n\r\n')).status).toBe(400)
    const tooLarge = headError('GET / HTTP/1.1\r\nHost: a\r\n\r\n', { maxHeadBytes: 20 })
    expect(new ProxyError('BAD_HEAD', 'head', tooLarge).status).toBe(431)
    expect(new ProxyError('BAD_RESPONSE_HEAD', 'response', tooLarge).status).toBe(502)
  })
})

describe('the engine`s answer to an error', () => {
  test('names only the code', () => {
    const text = reply(new ProxyError('CONNECT_FAILED', 'connect', new Error('10.0.0.7 secret')), false).toString()
    expect(withoutDate(text)).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
    expect(text).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/)
  })

  test('names the code of a HeadError', () => {
    const error = new ProxyError('BAD_HEAD', 'head', headError('GET / HTTP/1.1\r\n\r\n'))
    expect(withoutDate(reply(error, false).toString())).toBe(answer('400 Bad Request', 'MISSING_HOST'))
  })

  test('has Content-Length but no body for a HEAD request', () => {
    const error = new ProxyError('NO_DESTINATION', 'lookup')
    const [whole, head] = [reply(error, false).toString(), reply(error, true).toString()]
    expect(head).toBe(whole.slice(0, whole.indexOf('\r\n\r\n') + 4))
    expect(head).toContain('Content-Length: 40\r\n')
  })
})
