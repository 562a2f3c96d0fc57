import assert from 'node:assert'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ClientInfo, createServer, type Dest, handler, type ProxyError } from '../../src/index.ts'
import { noise, readAll } from '../helpers/bytes.ts'
import { digest, digestOf, send } from '../helpers/http.ts'
import { MODES, type Mode, proxyTo } from '../helpers/modes.ts'
import { listen } from '../helpers/net.ts'
import { run } from '../helpers/run.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate, makeCertificate } from '../helpers/tls.ts'

const MIB = 2 ** 20
const host = '127.0.0.1'
const { key, cert } = certificate()
const ca = cert

describe.each(MODES)('TLS, $mode', (mode) => {
  test.skipIf(mode.isEvery)(
    'lets curl negotiate HTTP/2 by ALPN and use it with a backend that speaks h2c',
    async () => {
      const backend = http2.createServer((request, response) => response.end(`${request.httpVersion} ${request.url}`))
      const port = await front(mode, { port: await listen(backend), host })
      const cacert = join(temporaryDirectory(), 'ca.pem')
      writeFileSync(cacert, ca)
      const args = ['-q', '-sS', '--noproxy', '*', '--cacert', cacert, '-w', ';%{http_version};%{num_connects} ']
      const url = `https://localhost:${port}`
      const { code, stdout, stderr } = await run('curl', [...args, `${url}/one`, `${url}/two`])
      expect([code, stderr, String(stdout)]).toEqual([0, '', '2.0 /one;2;1 2.0 /two;2;0 '])
    },
  )

  test('lets curl notice an incomplete response that the backend broke off', async () => {
    const backend = http.createServer((_, response) => {
      response.writeHead(200, { 'Content-Length': 8 })
      response.write('half', () => response.socket!.resetAndDestroy())
    })
    const port = await front(mode, { port: await listen(backend), host })
    const args = ['-q', '-sS', '--noproxy', '*', '--insecure', '--http1.1']
    const { code, stdout } = await run('curl', [...args, `https://${host}:${port}`])
    // 18: CURLE_PARTIAL_FILE.
    expect([code, String(stdout)]).toEqual([18, 'half'])
  })

  test.skipIf(mode.isEvery)("lets Node's http2 negotiate HTTP/2 by ALPN on either side", async () => {
    const backend = http2.createSecureServer({ key, cert }, (request, response) => {
      readAll(request).then((body) => response.end(JSON.stringify(digestOf(body))), assert.ifError)
    })
    const dest = { port: await listen(backend), host, tls: { ca, ALPNProtocols: ['h2'] } }
    const port = await front(mode, dest)
    const session = http2.connect(`https://localhost:${port}`, { ca, host })
    onTestFinished(() => session.destroy())
    const bodies = Array.from({ length: 20 }, (_, i) => noise(i * 50_000, i))
    const answers = await Promise.all(
      bodies.map(async (body) => {
        const stream = session.request({ ':method': 'POST', ':path': '/' })
        stream.end(body)
        return JSON.parse(String(await readAll(stream)))
      }),
    )
    expect(answers).toEqual(bodies.map(digestOf))
  })

  test('gives a server of this process the connection, and it knows that TLS is used', async () => {
    const server = http.createServer((request, response) => {
      const { encrypted } = request.socket as tls.TLSSocket
      response.setHeader('X-Encrypted', String(encrypted))
      digest(request, response)
    })
    const port = await front(mode, { server })
    for (const size of [0, 5 * MIB]) {
      const answer = await send(https.request({ port, host, ca, method: 'POST' }), noise(size))
      expect(answer.headers['x-encrypted']).toBe('true')
      expect(JSON.parse(String(answer.body))).toEqual(digestOf(noise(size)))
    }
  })

  test('works over a Unix socket, and over a stream from connect', async () => {
    const path = join(temporaryDirectory(), 's')
    await listen(https.createServer({ key, cert }, digest), { path })
    for (const dest of [
      { path, tls: { ca, servername: 'localhost' } },
      { connect: () => net.connect({ path, allowHalfOpen: true }), tls: { ca, servername: 'localhost' } },
    ] satisfies Dest[]) {
      const { port } = await proxyTo(mode, dest)
      const answer = await send(http.request({ port, host, method: 'POST' }), noise(MIB))
      expect(JSON.parse(String(answer.body))).toEqual(digestOf(noise(MIB)))
    }
  })
})

test('lookup learns whether the client used TLS', async () => {
  const seen: boolean[] = []
  const dest = { port: await listen(http.createServer(digest)), host }
  const proxy = (client: ClientInfo) => {
    seen.push(client.encrypted)
    return dest
  }
  const overTls = await listen(
    tls.createServer(
      { key, cert },
      handler((_, client) => proxy(client)),
    ),
  )
  const plain = await listen(createServer((_, client) => proxy(client)))
  await send(https.get({ port: overTls, host, ca }))
  await send(http.get({ port: plain, host }))
  expect(seen).toEqual([true, false])
})

test('sends the host as the server name to the backend unless tls sets another one', async () => {
  const names: unknown[] = []
  const backend = https.createServer({ key, cert }, (request, response) => {
    names.push((request.socket as tls.TLSSocket).servername)
    response.end()
  })
  const backendPort = await listen(backend)
  for (const dest of [
    { port: backendPort, host: 'localhost', tls: { ca } },
    { port: backendPort, host, tls: { ca } },
    { port: backendPort, host, tls: { ca, servername: 'localhost' } },
  ]) {
    const port = await listen(createServer(() => dest))
    expect((await send(http.get({ port, host }))).status).toBe(200)
  }
  expect(names).toEqual(['localhost', false, 'localhost'])
})

test.each([
  ['of another authority', { ca: makeCertificate().cert, servername: 'localhost' }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['of no known authority', true as const, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['of another name', { ca, servername: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
])('a backend with a certificate %s is not reached: 502', async (_, options, code) => {
  const backend = https.createServer({ key, cert }, (_, response) => response.end('must not be reached'))
  const dest = { port: await listen(backend), host, tls: options }
  const errors: ProxyError[] = []
  const proxy = createServer(
    () => dest,
    undefined,
    (error) => {
      errors.push(error)
    },
  )
  const client = http.get({ port: await listen(proxy), host })
  await once(client, 'error')
  expect(errors).toMatchObject([{ code: 'CONNECT_FAILED', phase: 'connect', cause: { code } }])
  const answer = await send(http.get({ port: await listen(createServer(() => dest)), host }))
  expect([answer.status, String(answer.body)]).toEqual([502, '502 Bad Gateway: CONNECT_FAILED\n'])
})

test('answers 502 if the backend does not speak TLS', async () => {
  const backend = http.createServer((_, response) => response.end('plain'))
  const dest = { port: await listen(backend), host, tls: { ca } }
  const { status } = await send(http.get({ port: await listen(createServer(() => dest)), host }))
  expect(status).toBe(502)
})

/** A TLS server in front of badass's handler. Returns its port. */
async function front(mode: Mode, dest: Dest): Promise<number> {
  const ALPNProtocols = ['server' in dest ? 'http/1.1' : 'h2', 'http/1.1']
  return listen(tls.createServer({ key, cert, ALPNProtocols }, mode.listener(dest)))
}
