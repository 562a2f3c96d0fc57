import assert from 'node:assert'
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { noise, readAll, sha256, slices } from '../helpers/bytes.ts'
import { digest, digestOf, serve } from '../helpers/http.ts'
import { MARK, MODES } from '../helpers/modes.ts'
import { deadPort, listen } from '../helpers/net.ts'
import { turn } from '../helpers/turns.ts'

const MIB = 2 ** 20

describe.each(MODES)('fetch, $mode', (mode) => {
  test('returns the status, fields and body of a GET', async () => {
    const { url } = await at(mode, (request, response) => {
      response.writeHead(
        203,
        'Somehow',
        [
          ['X-Path', request.url!],
          ['Set-Cookie', 'a=1; Path=/'],
          ['Set-Cookie', 'b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT'],
        ].flat(),
      )
      response.end('über')
    })
    const response = await fetch(`${url}/path?q=%20`)
    expect(response).toMatchObject({ status: 203, statusText: 'Somehow' })
    expect(response.headers.get('x-path')).toBe('/path?q=%20')
    expect(response.headers.get(MARK)).toBe(mode.isMarked ? 'was here' : null)
    // Each Set-Cookie stays a separate field.
    expect(response.headers.getSetCookie().slice(0, 2)).toEqual([
      'a=1; Path=/',
      'b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT',
    ])
    expect(await response.text()).toBe('über')
  })

  test('sends text, bytes, forms and streams in a POST', async () => {
    const { url } = await at(mode, digest)
    const bytes = noise(3 * MIB)
    const post = async (body: NonNullable<RequestInit['body']>) =>
      (await fetch(url, { method: 'POST', body, duplex: 'half' })).json()
    expect(await post('text')).toEqual(digestOf(Buffer.from('text')))
    expect(await post(new Uint8Array(bytes))).toEqual(digestOf(bytes))
    expect(await post(new URLSearchParams({ a: '1', b: '&' }))).toEqual(digestOf(Buffer.from('a=1&b=%26')))
    expect(await post(Readable.toWeb(Readable.from(slices(bytes, 30_011))) as ReadableStream)).toEqual(digestOf(bytes))
  })

  test('delivers a multipart form with its file', async () => {
    const { url } = await at(mode, (request, response) => {
      readAll(request).then((body) => {
        response.setHeader('Content-Type', request.headers['content-type']!)
        response.end(body)
      }, assert.ifError)
    })
    const form = new FormData()
    form.set('name', 'välue')
    form.set('file', new Blob([new Uint8Array(noise(100_000))]), 'noise.bin')
    const echo = await (await fetch(url, { method: 'POST', body: form })).formData()
    expect(echo.get('name')).toBe('välue')
    const file = echo.get('file')
    assert(file instanceof File)
    expect([file.name, sha256(Buffer.from(await file.arrayBuffer()))]).toEqual(['noise.bin', sha256(noise(100_000))])
  })

  test('delivers a response stream piece by piece', async () => {
    const server = http.createServer((_, response) => {
      response.flushHeaders()
      server.on('next', (text: string) => (text ? response.write(text) : response.end()))
    })
    const { url } = await at(mode, server)
    const reader = (await fetch(url)).body!.pipeThrough(new TextDecoderStream()).getReader()
    for (const text of ['one', 'two', 'three']) {
      server.emit('next', text)
      expect(await reader.read()).toEqual({ done: false, value: text })
    }
    server.emit('next', '')
    expect(await reader.read()).toEqual({ done: true, value: undefined })
  })

  test('passes an upload and its response at the same time', async () => {
    const { url } = await at(mode, (request, response) => {
      response.flushHeaders()
      request.pipe(response)
    })
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const started = fetch(url, { method: 'POST', body: readable, duplex: 'half' })
    // undici sends the head with the first bytes of the body.
    await writer.write(Uint8Array.of(0))
    const reader = (await started).body!.getReader()
    for (const byte of [0, 1, 2, 3]) {
      if (byte > 0) await writer.write(Uint8Array.of(byte))
      expect(await reader.read()).toEqual({ done: false, value: Uint8Array.of(byte) })
    }
    await writer.close()
    expect((await reader.read()).done).toBe(true)
  })

  test('passes a gzip body unchanged', async () => {
    const { url } = await at(mode, (_, response) => {
      response.setHeader('Content-Encoding', 'gzip')
      response.end(gzipSync('deflated '.repeat(10_000)))
    })
    expect(await (await fetch(url)).text()).toBe('deflated '.repeat(10_000))
  })

  test('follows a redirect and sends the body again', async () => {
    const { url } = await at(mode, (request, response) => {
      if (request.url === '/there') return digest(request, response)
      request.resume()
      request.on('end', () => response.writeHead(307, { Location: '/there' }).end())
    })
    const response = await fetch(`${url}/here`, { method: 'PUT', body: 'again' })
    expect([response.redirected, response.url]).toEqual([true, `${url}/there`])
    expect(await response.json()).toEqual(digestOf(Buffer.from('again')))
  })

  test('tells the backend of an abort before the response head', async () => {
    const server = http.createServer((request) => {
      request.on('close', () => server.emit('gone'))
      server.emit('came')
    })
    const { proxy, url } = await at(mode, server)
    const [came, gone] = [once(server, 'came'), once(server, 'gone')]
    const abort = new AbortController()
    const outcome = expect(fetch(url, { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
    await came
    const [connection] = proxy.active
    abort.abort()
    await Promise.all([outcome, gone])
    while (connection?.state !== 'Closed') await turn()
  })

  test('tells the backend of an abort inside the response body', async () => {
    const server = http.createServer((_, response) => {
      response.on('close', () => server.emit('gone'))
      response.write('begin')
    })
    const { proxy, url } = await at(mode, server)
    const gone = once(server, 'gone')
    const abort = new AbortController()
    const response = await fetch(url, { signal: abort.signal })
    await response.body!.getReader().read()
    const [connection] = proxy.active
    abort.abort()
    await gone
    while (connection?.state !== 'Closed') await turn()
  })

  test('gives each of 100 concurrent requests its own answer', async () => {
    const { url } = await at(mode, digest)
    const bodies = Array.from({ length: 100 }, (_, i) => noise((i * 7_919) % 50_000, i))
    const answers = await Promise.all(
      bodies.map(async (body) => (await fetch(url, { method: 'POST', body: new Uint8Array(body) })).json()),
    )
    expect(answers).toEqual(bodies.map(digestOf))
  })

  test('answers 502 if the backend is down, even to a request with a large body', async () => {
    const proxy = mode.create({ port: await deadPort(), host: '127.0.0.1' })
    const url = `http://127.0.0.1:${await listen(proxy)}`
    for (const body of [undefined, new Uint8Array(noise(2 * MIB))]) {
      const response = await fetch(url, body ? { method: 'POST', body } : {})
      expect(response.status).toBe(502)
      expect(await response.text()).toBe('502 Bad Gateway: CONNECT_FAILED\n')
    }
  })
})

async function at(...[mode, listener]: Parameters<typeof serve>) {
  const served = await serve(mode, listener)
  return { ...served, url: `http://127.0.0.1:${served.port}` }
}
