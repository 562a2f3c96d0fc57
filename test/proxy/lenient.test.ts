import { once } from 'node:events'
import http from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createStickyServer, HeadError, type ProxyOptions } from '../../src/index.ts'
import { answerOf } from '../helpers/http.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import { answer, ask, expectNoWarnings, GET, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { run } from '../helpers/run.ts'
import { turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

/** A response as old, home-made and embedded servers send it. */
const ODD =
  'HTTP/1.1 200\nServer : odd/0.1\nX-Note: a\0b\n  c\nSet-Cookie: a=1\x01\nSet-Cookie:b=2\nContent-Length : 6\n\nbody\n\0'
const CLEAN =
  'HTTP/1.1 200 \r\nServer: odd/0.1\r\nX-Note: a b  c\r\nSet-Cookie: a=1 \r\nSet-Cookie:b=2\r\nContent-Length: 6\r\n\r\nbody\n\0'
const FIELDS = [
  'Server',
  'odd/0.1',
  'X-Note',
  'a b  c',
  'Set-Cookie',
  'a=1',
  'Set-Cookie',
  'b=2',
  'Content-Length',
  '6',
]

/** A proxy and a backend that writes these pieces to every connection and ends. */
async function behind(pieces: string | string[], options: Partial<ProxyOptions> = {}) {
  const backend = await Backend.start()
  const watch = new Watch()
  const { port } = await startProxy({ lookup: () => ({ port: backend.port, host }), ...options })
  const play = async () => {
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    for (const piece of [pieces].flat()) {
      await peer.flush(piece)
      await turns(2)
    }
    peer.end()
  }
  return { port, watch, backend, play: (): void => void play().catch(() => undefined) }
}

async function answered(pieces: string | string[], options: Partial<ProxyOptions>, request = GET): Promise<string> {
  const { port, play } = await behind(pieces, options)
  play()
  return ask(port, request)
}

const lenientResponses = true

describe('with lenientResponses', () => {
  test.for([
    ['at once', [ODD]],
    ['byte by byte', [...ODD]],
  ] as const)('an odd head that comes %s is clean for the client, and the body as it was', async ([, pieces]) => {
    expect(await answered([...pieces], { lenientResponses })).toBe(CLEAN)
  })

  test("Node's strict client reads the response", async () => {
    const { port, play } = await behind(ODD, { lenientResponses })
    play()
    const [response] = (await once(http.get({ port, host }), 'response')) as [http.IncomingMessage]
    const { body } = await answerOf(response)
    expect(response.rawHeaders).toEqual(FIELDS)
    expect([response.statusCode, body.toString('latin1')]).toEqual([200, 'body\n\0'])
  })

  test('curl reads the response', async () => {
    const { port, play } = await behind(ODD, { lenientResponses })
    play()
    const { code, stdout } = await run('curl', ['-si', '--max-time', '20', `http://${host}:${port}/`])
    expect([code, stdout.toString('latin1')]).toEqual([0, CLEAN])
  })

  test('modify gets the repaired head, and its edits are sent', async () => {
    const seen: unknown[] = []
    const text = await answered(ODD, {
      lenientResponses,
      modify: (head) => {
        seen.push(head.status, head.getAll('set-cookie'), head.get('x-note'))
        head.delete('Set-Cookie')
      },
    })
    expect(seen).toEqual([200, ['a=1', 'b=2'], 'a b  c'])
    expect(text).toBe(CLEAN.replace(/Set-Cookie.*\r\n/g, ''))
  })

  test('interim heads are repaired too', async () => {
    const interim = 'HTTP/1.1 100\n\nHTTP/1.1 103 Early Hints\nLink : </a>\n\n'
    const clean = 'HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    expect(await answered(interim + ODD, { lenientResponses })).toBe(clean + CLEAN)
  })

  test('bytes after a 101 pass unchanged in both directions', async () => {
    const { port, backend } = await behind([], { lenientResponses })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    const frames = 'HTTP/1.1 200 OK\nX : y\n\n\0\r'
    peer.write(`HTTP/1.1 101 Switching\nUpgrade : x\n\n${frames}`)
    expect(await client.until(frames)).toBe(`HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n${frames}`)
    client.end(frames)
    expect(await peer.ended()).toBe(GET + frames)
    peer.end('\n')
    expect((await client.ended()).endsWith(`${frames}\n`)).toBe(true)
  })

  test('later responses of the connection pass unchanged', async () => {
    const { port, backend } = await behind([], { lenientResponses })
    const client = await connect(port)
    client.write(GET + GET)
    const peer = await backend.next()
    await peer.until(GET + GET)
    peer.end(ODD + ODD)
    expect(await client.ended()).toBe(CLEAN + ODD)
  })

  test('a valid head passes unchanged', async () => {
    const right = 'HTTP/1.0 200 OK\r\nX:  y \r\nContent-Length: 02\r\n\r\nok'
    expect(await answered(right, { lenientResponses })).toBe(right)
  })

  test('a connection that starts with the HTTP/2 preface is not read', async () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    expect(await answered('\0\0\0\x04\n', { lenientResponses }, preface)).toBe('\0\0\0\x04\n')
  })

  test.for([
    [
      'a length and a coding',
      'HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n',
      'LENGTH_AND_ENCODING',
      34,
    ],
    ['two lengths', 'HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n', 'DUPLICATE_CONTENT_LENGTH', 34],
    ['a coding with a control', 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\x01\n\n', 'BAD_TRANSFER_ENCODING', 16],
    ['a lone CR', 'HTTP/1.1 200 OK\nX: y\rTransfer-Encoding: chunked\n\n', 'BARE_CR', 21],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'BAD_VERSION', 0],
    ['a head over the limit', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(1000)}\n\n`, 'HEAD_TOO_LARGE', 200],
  ] as const)('%s makes a 502, and none of it is sent', async ([, head, code, offset]) => {
    const { port, watch, play } = await behind(`${head}5\r\nhello\r\n0\r\n\r\n`, {
      lenientResponses,
      maxHeadBytes: 200,
    })
    play()
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', code))
    const { error } = await watch.until('error')
    expect(error).toMatchObject({ code: 'BAD_RESPONSE_HEAD', phase: 'response', cause: { code, offset } })
    expect(error.cause).toBeInstanceOf(HeadError)
  })

  test('a backend that ends inside its head causes a 502', async () => {
    const text = await answered('HTTP/1.1 200 OK\nX: y\n', { lenientResponses })
    expect(withoutDate(text)).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
  })

  test('responseHeadTimeout applies to the head', async () => {
    const { port, backend } = await behind([], { lenientResponses, responseHeadTimeout: 50 })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    peer.write('HTTP/1.1 200 OK\nX: y\n')
    expect(withoutDate(await client.ended())).toBe(answer('504 Gateway Timeout', 'RESPONSE_HEAD_TIMEOUT'))
  })

  test.for([
    ['GET / HTTP/1.1\nHost: a\n\n', 'BARE_LF'],
    ['GET / HTTP/1.1\r\nHost : a\r\n\r\n', 'SPACE_BEFORE_COLON'],
    ['GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n', 'NUL'],
    ['GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n', 'OBS_FOLD'],
    ['\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'EMPTY_LINES'],
  ] as const)('the request %j still makes a 400, and reaches no backend', async ([request, code]) => {
    const { port, backend } = await behind([], { lenientResponses })
    expect(withoutDate(await ask(port, request))).toBe(answer('400 Bad Request', code))
    expect(backend.accepted).toBe(0)
  })

  test('createStickyServer adds its cookie to a repaired head', async () => {
    const { backend, play } = await behind(ODD)
    const server = createStickyServer(() => ({ port: backend.port, host, sticky: 'a' }), undefined, {
      lenientResponses,
    })
    const port = await listen(server)
    play()
    expect(await ask(port)).toContain('Set-Cookie:b=2\r\nContent-Length: 6\r\nSet-Cookie: sticky=a\r\n\r\nbody')
  })
})

describe('without lenientResponses', () => {
  test('an invalid head causes a 502 if there is a modify, and the error names the byte and its offset', async () => {
    const { port, watch, play } = await behind(ODD, { modify: () => undefined })
    play()
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'BARE_LF'))
    const { error } = await watch.until('error')
    expect(error.cause).toMatchObject({ code: 'BARE_LF', offset: 12, byte: 0x0a, state: 'StatusEnd' })
    expect(error.message).toBe(
      'BAD_RESPONSE_HEAD: the response head was refused: BARE_LF: an LF without its CR (byte 12 is 0x0a, in StatusEnd)',
    )
  })

  test('the error shows the byte as a number', async () => {
    const { port, watch, play } = await behind('HTTP/1.1 200 OK\r\nX: \x1b[2J\r\n\r\n', { modify: () => undefined })
    play()
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'BAD_FIELD_VALUE'))
    const { error } = await watch.until('error')
    expect(error.message).toMatch(/\(byte 20 is 0x1b, in FieldGap\)$/)
    expect(error.message).toMatch(/^[\x20-\x7e]+$/)
  })

  test('an invalid head passes unchanged if there is no modify', async () => {
    expect(await answered(ODD, {})).toBe(ODD)
  })
})

test('destroys the backend if the client leaves during the head', async () => {
  const { port, backend, watch } = await behind([], { lenientResponses })
  const client = await connect(port)
  onTestFinished(() => client.reset())
  client.write(GET)
  const peer = await backend.next()
  await peer.flush('HTTP/1.1 200 OK\nX: y')
  client.reset()
  await peer.closed()
  await watch.until('close')
  expect(watch.codes).toEqual(['CLIENT_RESET'])
})
