import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Dest } from '../../src/index.ts'
import { answerOf } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'
import { hasProgram, startHaproxy, startNginx } from '../helpers/peers.ts'
import { expectNoWarnings, startProxy, Watch } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

/** Sends a request on a new connection. Returns the body and the client's port. */
async function get(options: http.RequestOptions): Promise<{ body: string; port: number }> {
  const request = http.get({ host, agent: false, ...options })
  let port = 0
  request.on('socket', (socket) => socket.on('connect', () => (port = socket.localPort!)))
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
  })
  return { body: (await answerOf(response)).body.toString(), port }
}

/** A proxy whose backend answers with the client's address. */
async function startTelling() {
  const backend = http.createServer((request, response) => response.end(request.headers['x-client']))
  const port = await listen(backend)
  const proxy = await startProxy<Dest>({
    proxyProtocol: [host],
    lookup: (head, client) => {
      head.set('X-Client', `${client.remoteAddress} ${client.remotePort}`)
      return { port, host }
    },
  })
  return proxy
}

describe.skipIf(!hasProgram('haproxy'))('haproxy in front', () => {
  describe.each([
    ['send-proxy', '127.0.0.1'],
    ['send-proxy-v2', '127.0.0.1'],
    ['send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl', '127.0.0.1'],
    ['send-proxy', '::1'],
    ['send-proxy-v2 proxy-v2-options crc32c', '::1'],
  ])('by %s', (how, at) => {
    test.skipIf(at === '::1' && !hasIPv6)(`tells the address of a client that connected to ${at}`, async () => {
      const { port } = await startTelling()
      const front = await startHaproxy(
        (own) => `listen one
  bind 127.0.0.1:${own}
  ${hasIPv6 ? `bind [::1]:${own}` : ''}
  unique-id-format %rt
  server one ${host}:${port} ${how}
`,
      )
      const { body, port: from } = await get({ port: front, host: at })
      expect(body).toBe(`${at} ${from}`)
    })
  })

  test.each(['send-proxy check-send-proxy', 'send-proxy-v2 check-send-proxy'])(
    'keeps the backend up with checks by %s',
    async (how) => {
      const watch = new Watch()
      const { port, server } = await startTelling()
      const front = await startHaproxy(
        (own) => `listen one
  bind 127.0.0.1:${own}
  option httpchk GET /check
  server one ${host}:${port} ${how} check inter 50 rise 1 fall 1
`,
      )
      await watch.until('close', 2)
      expect((await get({ port: front })).body).toMatch(/^127\.0\.0\.1 \d+$/)
      // haproxy resets the connection of a check after the answer.
      expect(watch.codes.filter((code) => code !== 'CLIENT_RESET')).toEqual([])
      const checks = watch.all('routed').filter(({ head }) => head.target === '/check')
      expect(checks.length).toBeGreaterThan(0)
      // The header is LOCAL, UNKNOWN (version 1), or names haproxy itself. The client is haproxy in each case.
      for (const { connection } of checks) expect(connection.client.remoteAddress).toBe(host)
      expect(server.counters.badHeads).toBe(0)
    },
  )

  test('can check by connecting only, without causing an error', async () => {
    const watch = new Watch()
    const { port } = await startTelling()
    await startHaproxy(
      (own) => `listen one
  bind 127.0.0.1:${own}
  server one ${host}:${port} send-proxy-v2 check-send-proxy check inter 50 rise 1 fall 1
`,
    )
    await watch.until('close', 3)
    expect(watch.codes.filter((code) => code !== 'CLIENT_RESET')).toEqual([])
  })
})

describe.each([1, 2] as const)('sendProxy: %i', (sendProxy) => {
  test.skipIf(!hasProgram('nginx'))(
    "passes the client's address to nginx over TCP, over a Unix socket, and before TLS",
    async () => {
      const directory = temporaryDirectory()
      const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
      const { cert, key } = certificate()
      writeFileSync(files.cert, cert)
      writeFileSync(files.key, key)
      const path = join(directory, 'a.sock')
      const tell = `location / { return 200 '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port'; }`
      const nginx = await startNginx(
        (port) => `
      server { listen 127.0.0.1:${port}; location / { return 200; } }
      server { listen 127.0.0.2:${port} proxy_protocol; listen unix:${path} proxy_protocol; ${tell} }
      server {
        listen 127.0.0.3:${port} ssl proxy_protocol;
        ssl_certificate ${files.cert};
        ssl_certificate_key ${files.key};
        ${tell}
      }
    `,
      )
      const dests: Dest[] = [
        { port: nginx, host: '127.0.0.2', sendProxy },
        { path, sendProxy },
        { port: nginx, host: '127.0.0.3', tls: { ca: cert, servername: 'localhost' }, sendProxy },
      ]
      for (const dest of dests) {
        const { port } = await startProxy(() => dest)
        const { body, port: from } = await get({ port })
        expect(body).toBe(`127.0.0.1 ${from} ${port}`)
      }
    },
  )

  test.skipIf(!hasProgram('haproxy'))("passes the client's address to haproxy", async () => {
    const haproxy = await startHaproxy(
      (port) => `frontend one
  bind 127.0.0.1:${port}
  bind 127.0.0.2:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
`,
    )
    const { port } = await startProxy(() => ({ port: haproxy, host: '127.0.0.2', sendProxy }))
    const { body, port: from } = await get({ port })
    expect(body).toBe(`127.0.0.1 ${from} 127.0.0.1 ${port}`)
  })
})
