import assert from 'node:assert'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { noise, readAll, sha256 } from '../helpers/bytes.ts'
import { digest, digestOf, serve } from '../helpers/http.ts'
import { MARK, MODES, proxyTo } from '../helpers/modes.ts'
import { Backend, listen } from '../helpers/net.ts'
import { run } from '../helpers/run.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const MIB = 2 ** 20
// A long limit: a test that relies on curl no longer waiting for a 100 cannot pass.
const EXPECT = ['--expect100-timeout', '600', '-H', 'Expect: 100-continue']

/** Runs curl without the user's own settings. */
function curl(args: string[], stdin?: Parameters<typeof run>[2]) {
  return run('curl', ['-q', '--silent', '--show-error', '--noproxy', '*', ...args], stdin)
}

describe.each(MODES)('curl, $mode', (mode) => {
  test('gets the response of a GET, and its head with --include', async () => {
    const { port } = await serve(mode, (request, response) => response.end(`you want ${request.url}`))
    const { code, stdout, stderr } = await curl(['--include', `http://127.0.0.1:${port}/a?b`])
    expect([code, stderr]).toEqual([0, ''])
    expect(String(stdout)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(String(stdout)).toMatch(/\r\n\r\nyou want \/a\?b$/)
    expect(String(stdout).includes(`${MARK}: was here`)).toBe(mode.isMarked)
  })

  test('sends an upload after 100 Continue, and it arrives', async () => {
    const server = http.createServer().on('checkContinue', (request, response) => {
      response.writeContinue()
      digest(request, response)
    })
    const { port } = await serve(mode, server)
    const file = join(temporaryDirectory(), 'upload')
    writeFileSync(file, noise(3 * MIB))
    const { code, stdout, stderr } = await curl(['-v', ...EXPECT, '-T', file, `http://127.0.0.1:${port}/`])
    expect(code).toBe(0)
    expect(stderr).toMatch(/^< HTTP\/1\.1 100 Continue/m)
    expect(JSON.parse(String(stdout))).toEqual(digestOf(noise(3 * MIB)))
  })

  test('does not send an upload after 413 instead of 100 Continue', async () => {
    const server = http.createServer().on('checkContinue', (_, response) => {
      response.writeHead(413, { Connection: 'close' }).end('too much')
    })
    const { proxy, port } = await serve(mode, server)
    const args = ['-w', '%{http_code} %{size_upload} ', '-o', '-', ...EXPECT, '-T', '-']
    const { code, stdout } = await curl([...args, `http://127.0.0.1:${port}/`], noise(MIB))
    expect(code).toBe(0)
    expect(String(stdout)).toMatch(/too much413 0 $/)
    expect(proxy.counters.bytesRead).toBeLessThan(1000)
  })

  // With requests: 'every' the 417 closes the connection, as the body may still come. curl then does not try again.
  test.skipIf(mode.isEvery)('sends an upload again without Expect on the same connection after a 417', async () => {
    const backend = await Backend.start()
    const { port } = await proxyTo(mode, { port: backend.port, host: '127.0.0.1' })
    const file = join(temporaryDirectory(), 'upload')
    writeFileSync(file, noise(2 * MIB))
    // curl adds Expect itself for a body of this size. An Expect from -H would be sent again.
    const outcome = curl([
      '--expect100-timeout',
      '600',
      '-w',
      '%{num_connects}',
      '-T',
      file,
      `http://127.0.0.1:${port}/`,
    ])

    const peer = await backend.next()
    const first = await peer.until('\r\n\r\n')
    expect(first).toContain('\r\nExpect: 100-continue\r\n')
    peer.write('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n')
    const second = first.replace('Expect: 100-continue\r\n', '')
    const all = await peer.untilLength(first.length + second.length + 2 * MIB)
    expect(all.toString('latin1', 0, first.length + second.length)).toBe(first + second)
    expect(sha256(all.subarray(first.length + second.length))).toBe(sha256(noise(2 * MIB)))
    peer.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere')
    expect(await outcome).toMatchObject({ code: 0, stdout: Buffer.from('there1') })
  })

  test('uploads and downloads 8 MiB without loss', async () => {
    const { port } = await serve(mode, (request, response) => {
      request.pipe(response)
    })
    const file = join(temporaryDirectory(), 'upload')
    const bytes = noise(8 * MIB)
    writeFileSync(file, bytes)
    const { code, stdout } = await curl(['--data-binary', `@${file}`, '-H', 'Expect:', `http://127.0.0.1:${port}/`])
    expect([code, sha256(stdout)]).toEqual([0, sha256(bytes)])
  })

  test('sends a chunked upload from standard input while it is produced', async () => {
    const server = http.createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
        server.emit('got', body)
      })
      request.on('end', () => response.end(`${body} ${request.headers['transfer-encoding']}`))
    })
    const { port } = await serve(mode, server)
    const stdin = Readable.from(
      (async function* () {
        for (const text of ['one', 'onetwo', 'onetwothree']) {
          const got = once(server, 'got')
          yield text.slice(text.search(/(one|two|three)$/))
          // The next piece is written only after the backend has received the last one.
          assert.deepEqual(await got, [text])
        }
      })(),
      { objectMode: false },
    )
    const { code, stdout } = await curl(['-T', '.', '-H', 'Expect:', `http://127.0.0.1:${port}/`], stdin)
    expect([code, String(stdout)]).toEqual([0, 'onetwothree chunked'])
  })

  test('uses HTTP/1.0 with and without a body', async () => {
    const { port } = await serve(mode, (request, response) => {
      response.setHeader('X-Version', request.httpVersion)
      digest(request, response)
    })
    for (const body of [[], ['--data-binary', '@-']]) {
      const { code, stdout } = await curl(['-0', '-i', ...body, `http://127.0.0.1:${port}/`], noise(MIB))
      expect([code, String(stdout).includes('X-Version: 1.0\r\n')]).toEqual([0, true])
      const json = String(stdout).slice(String(stdout).indexOf('{'))
      expect(JSON.parse(json)).toEqual(digestOf(body.length > 0 ? noise(MIB) : Buffer.alloc(0)))
    }
  })

  test('gets the fields of a HEAD without waiting for a body', async () => {
    const { port } = await serve(mode, (_, response) => response.writeHead(200, { 'Content-Length': 1000 }).end())
    const { code, stdout } = await curl(['--head', `http://127.0.0.1:${port}/`])
    expect(code).toBe(0)
    expect(String(stdout)).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)*Content-Length: 1000\r\n/)
  })

  test('requests two URLs over one connection', async () => {
    const { proxy, port } = await serve(mode, (request, response) => response.end(request.url))
    const url = `http://127.0.0.1:${port}`
    const { code, stdout } = await curl(['-w', ' %{num_connects};', `${url}/one`, `${url}/two`])
    expect([code, String(stdout)]).toEqual([0, '/one 1;/two 0;'])
    expect(proxy.counters.accepted).toBe(1)
  })

  test.skipIf(mode.isEvery)('uses HTTP/2 with the backend by --http2-prior-knowledge', async () => {
    const { proxy, port } = await serveH2c(mode)
    const args = ['--http2-prior-knowledge', '-w', ' %{http_code} %{http_version}', `http://127.0.0.1:${port}/`]
    const { code, stdout, stderr } = await curl(args)
    expect([code, String(stdout), stderr]).toEqual([0, `${JSON.stringify(digestOf(Buffer.alloc(0)))} 200 2`, ''])
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: 1, badHeads: 0 })
  })

  test.skipIf(mode.isEvery)('uploads 5 MiB over --http2-prior-knowledge, also several times at once', async () => {
    const { port } = await serveH2c(mode)
    const url = `http://127.0.0.1:${port}`
    const file = join(temporaryDirectory(), 'upload')
    writeFileSync(file, noise(5 * MIB))
    const one = await curl(['--http2-prior-knowledge', '--data-binary', `@${file}`, url])
    expect([one.code, JSON.parse(String(one.stdout))]).toEqual([0, digestOf(noise(5 * MIB))])

    const several = Array.from({ length: 8 }, (_, i) => `${url}/${i}`)
    // Immediate: one connection each. curl 7.88 fails to use an h2c connection twice, with or without a proxy.
    const args = ['--http2-prior-knowledge', '--parallel', '--parallel-immediate', '--data-binary', `@${file}`]
    const { code, stdout } = await curl([...args, ...several])
    const json = JSON.stringify(digestOf(noise(5 * MIB)))
    expect([code, String(stdout)]).toEqual([0, json.repeat(8)])
  })

  test('requests an upgrade to h2c with --http2, and accepts a backend that ignores it', async () => {
    const { port } = await serve(mode, (request, response) => response.end(request.headers.upgrade ?? 'none'))
    const { code, stdout } = await curl(['--http2', '-w', ' %{http_version}', `http://127.0.0.1:${port}/`])
    expect([code, String(stdout)]).toEqual([0, mode.isEvery ? 'none 1.1' : 'h2c 1.1'])
  })

  test('uses badass as a forward proxy for the absolute form and CONNECT', async () => {
    const server = http.createServer((request, response) => response.end(`${request.method} ${request.url}`))
    server.on('connect', (request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.once('data', () => {
        const body = `inside ${request.url}`
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
      })
    })
    const { port } = await serve(mode, server)
    const through = ['--noproxy', '', '--proxy', `http://127.0.0.1:${port}`, 'http://name.test:81/path']
    expect(await curl(through)).toMatchObject({ code: 0, stdout: Buffer.from('GET http://name.test:81/path') })
    const tunnel = await curl(['--proxytunnel', ...through])
    expect([tunnel.code, String(tunnel.stdout)]).toEqual([0, 'inside name.test:81'])
  })

  test('connects over a Unix socket', async () => {
    const path = join(temporaryDirectory(), 's')
    const backend = await listen(http.createServer(digest))
    await listen(mode.create({ port: backend, host: '127.0.0.1' }), { path })
    const args = ['--unix-socket', path, '--data-binary', '@-', 'http://localhost/']
    const { code, stdout } = await curl(args, noise(MIB))
    expect([code, JSON.parse(String(stdout))]).toEqual([0, digestOf(noise(MIB))])
  })

  test('connects over IPv6 on both sides', async () => {
    const host = '::1'
    const backend = await listen(http.createServer(digest), { port: 0, host })
    const port = await listen(mode.create({ port: backend, host }), { port: 0, host })
    const { code, stdout } = await curl(['--data-binary', '@-', `http://[::1]:${port}/`], noise(MIB))
    expect([code, JSON.parse(String(stdout))]).toEqual([0, digestOf(noise(MIB))])
  })

  test('gets 431 from the engine for a head that is too large', async () => {
    const { proxy, port } = await serve(mode, digest)
    const args = ['-w', ' %{http_code}', '-H', `X-Large: ${'x'.repeat(40_000)}`]
    const { code, stdout } = await curl([...args, `http://127.0.0.1:${port}/`])
    expect([code, String(stdout)]).toEqual([0, '431 Request Header Fields Too Large: HEAD_TOO_LARGE\n 431'])
    expect(proxy.counters).toMatchObject({ badHeads: 1, connected: 0 })
  })
})

/** An HTTP/2 server without TLS that answers with the digest of the body, and a proxy in front of it. */
async function serveH2c(mode: Parameters<typeof serve>[0]) {
  const server = http2.createServer()
  server.on('stream', (stream) => {
    readAll(stream).then((body) => stream.end(JSON.stringify(digestOf(body))), assert.ifError)
  })
  return serve(mode, server as unknown as http.Server)
}
