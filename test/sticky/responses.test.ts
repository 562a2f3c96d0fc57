import { describe, expect, it } from 'vitest'
import { Backend } from '../helpers/net.ts'
import { exchange, startSticky } from './support.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const SET = 'Set-Cookie: sid=1; Path=/app; Secure\r\n'
const OURS = 'Set-Cookie: sticky=home; Path=/app; Secure\r\n'

async function answered(response: string, options: Parameters<typeof startSticky>[1] = {}): Promise<string> {
  const backend = await Backend.start()
  const port = await startSticky(() => ({ port: backend.port, host: '127.0.0.1', sticky: 'home' }), options)
  const { got } = await exchange(port, backend, REQUEST, response)
  return got
}

describe('the cookie is set in the final response, with any status', () => {
  it.each([
    ['200 OK', 'Content-Length: 2\r\n', 'hi'],
    ['204 No Content', '', ''],
    ['302 Found', 'Location: /in\r\nContent-Length: 0\r\n', ''],
    ['304 Not Modified', 'ETag: "1"\r\n', ''],
    ['404 Not Found', 'Content-Length: 2\r\n', 'no'],
    ['500 Internal Server Error', 'Transfer-Encoding: chunked\r\n', '2\r\nno\r\n0\r\n\r\n'],
    ['101 Switching Protocols', 'Upgrade: x\r\nConnection: Upgrade\r\n', '\x81\x00\xff'],
    ['299', '', 'hi'],
  ])('%s', async (status, fields, body) => {
    const start = `HTTP/1.1 ${status}\r\n${SET}${fields}`
    expect(await answered(`${start}\r\n${body}`)).toBe(`${start}${OURS}\r\n${body}`)
  })

  it('with HTTP/1.0', async () => {
    expect(await answered(`HTTP/1.0 200 OK\r\n${SET}\r\nhi`)).toBe(`HTTP/1.0 200 OK\r\n${SET}${OURS}\r\nhi`)
  })

  it('only in the first response of a connection', async () => {
    const response = `HTTP/1.1 200 OK\r\n${SET}Content-Length: 0\r\n`
    expect(await answered(`${response}\r\n${response}\r\n`)).toBe(`${response}${OURS}\r\n${response}\r\n`)
  })

  it('with `insert` even if the application sets no cookie', async () => {
    const got = await answered('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', { cookie: { insert: true } })
    expect(got).toBe('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nSet-Cookie: sticky=home; Path=/; HttpOnly\r\n\r\n')
  })

  it('and a response without a cookie passes unchanged', async () => {
    const response = 'HTTP/1.1 200 OK\r\nA:1 \r\na:\t2\r\n\r\nhi'
    expect(await answered(response)).toBe(response)
  })
})

describe('interim responses do not change', () => {
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
  const HINTS = `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n${SET}\r\n`

  it.each([
    ['100', CONTINUE],
    ['103 with a cookie', HINTS],
    ['100, then 103', CONTINUE + HINTS],
    ['199, of which nobody knows', `HTTP/1.1 199 X\r\n${SET}\r\n`],
  ])('%s', async (_, interim) => {
    const got = await answered(`${interim}HTTP/1.1 200 OK\r\n${SET}\r\nhi`)
    expect(got).toBe(`${interim}HTTP/1.1 200 OK\r\n${SET}${OURS}\r\nhi`)
  })

  it('and their cookies do not count', async () => {
    const final = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    expect(await answered(HINTS + final)).toBe(HINTS + final)
  })

  it('before a 101 that gets the cookie', async () => {
    const final = `HTTP/1.1 101 Switching Protocols\r\n${SET}`
    expect(await answered(`${CONTINUE}${final}\r\n\x81\x00`)).toBe(`${CONTINUE}${final}${OURS}\r\n\x81\x00`)
  })
})

describe('no cookie is set if lookup returns no value', () => {
  it.each<[what: string, dest: { sticky?: string | undefined }]>([
    ['none', {}],
    ['undefined', { sticky: undefined }],
    ['an empty one', { sticky: '' }],
  ])('%s', async (_, sticky) => {
    const backend = await Backend.start()
    const port = await startSticky(
      () => ({ port: backend.port, host: '127.0.0.1', ...(sticky as { sticky: string }) }),
      {
        cookie: { insert: true },
      },
    )
    const response = `HTTP/1.1 200 OK\r\n${SET}\r\nhi`
    expect((await exchange(port, backend, REQUEST, response)).got).toBe(response)
  })
})
