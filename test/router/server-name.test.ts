import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { parseHead } from '../../src/parser/index.ts'
import { clientOf } from '../../src/proxy/index.ts'
import { createRouter, type RouteOptions } from '../../src/router/index.ts'
import { listen } from '../helpers/net.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { CLIENT, poolTo, requestHead } from './support.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const preface = () => parseHead(Buffer.from(PREFACE), 'request')
const POOLS = { api: poolTo('api'), wild: poolTo('wild'), rest: poolTo('rest'), path: poolTo('path') }
const ROUTES: readonly RouteOptions[] = [
  { host: 'api.a.test', pool: 'api' },
  { host: '*.a.test', pool: 'wild' },
  { path: '/', pool: 'path' },
  { pool: 'rest' },
]

/** The client that a server sees behind a TLS handshake with this server name. */
async function clientNaming(servername: string | undefined) {
  const server = tls.createServer(certificate())
  const port = await listen(server)
  const accepted = new Promise<tls.TLSSocket>((resolve) => server.once('secureConnection', resolve))
  await connectTls(port, { rejectUnauthorized: false, ...(servername !== undefined && { servername }) })
  const socket = await accepted
  onTestFinished(() => void socket.destroy())
  return clientOf(socket)
}

test.each([
  ['api.a.test', 'api'],
  ['API.a.TEST', 'api'],
  ['other.a.test', 'wild'],
  ['a.test', 'rest'],
  [undefined, 'rest'],
])('an HTTP/2 connection to the server name %s goes to the pool %s', async (name, path) => {
  const { lookup } = createRouter({ pools: POOLS, routes: ROUTES })
  expect(lookup(preface(), await clientNaming(name))).toEqual({ path })
})

test('one without TLS names no host', () => {
  const { lookup } = createRouter({ pools: POOLS, routes: ROUTES })
  expect(lookup(preface(), CLIENT)).toEqual({ path: 'rest' })
})

test('a request of HTTP/1.1 has the host that it names, not that of TLS', async () => {
  const { lookup } = createRouter({ pools: POOLS, routes: ROUTES })
  const client = await clientNaming('api.a.test')
  expect(lookup(requestHead('GET /x HTTP/1.1', 'Host: other.a.test'), client)).toEqual({ path: 'wild' })
})
