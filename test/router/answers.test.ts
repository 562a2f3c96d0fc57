import { expect, it } from 'vitest'
import { createRouter } from '../../src/router/index.ts'
import { connect } from '../helpers/net.ts'
import { startProxy } from '../helpers/proxy.ts'
import { CLIENT, requestHead } from './support.ts'

it.each([
  ['/new', 'GET /old/x?y=1', '/new'],
  ['/new{path}', 'GET /old/x?y=1', '/new/old/x?y=1'],
  ['https://www.example.com{path}', 'GET /old/x?y=1', 'https://www.example.com/old/x?y=1'],
  ['https://{host}{path}', 'GET //evil.com', 'https://example.com//evil.com'],
  ['https://{host}{path}', 'GET http://example.com:8080/a?b', 'https://example.com/a?b'],
  ['https://{host}{path}', 'OPTIONS *', 'https://example.com/'],
])('a redirect to %s answers %s with %s', async (to, first, location) => {
  const { lookup } = createRouter({ routes: [{ redirect: to }] })
  const response = (await lookup(requestHead(`${first} HTTP/1.1`, 'Host: example.com:8080'), CLIENT)) as Response
  expect([response.status, response.headers.get('Location')]).toEqual([308, location])
})

it.each(['GET /evil.com HTTP/1.0', 'GET /evil.com HTTP/1.1'])(
  'a redirect to {host} answers 400 without one: %s',
  async (first) => {
    const { lookup } = createRouter({
      routes: [{ redirect: 'https://{host}{path}' }, { path: '/fixed', redirect: '/new' }],
    })
    const field = first.endsWith('0') ? 'X: y' : 'Host:'
    expect(await lookup(requestHead(first, field), CLIENT)).toMatchObject({ status: 400 })
    expect(await lookup(requestHead(first.replace('/evil.com', '/fixed'), field), CLIENT)).toMatchObject({
      status: 308,
    })
  },
)

it.each(['first', 'every'] as const)("answers of routes reach the client, requests: '%s'", async (requests) => {
  const { lookup } = createRouter({
    routes: [
      { path: '/health', respond: { body: 'fine', headers: { 'X-By': 'route' } } },
      { path: '/gone', respond: { status: 410 } },
      { path: '/old', redirect: { to: '/new', status: 302 } },
    ],
  })
  const { port } = await startProxy({ lookup, requests })
  const ask = async (target: string) => {
    const client = await connect(port)
    client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    return client.ended()
  }
  const health = await ask('/health')
  expect(health).toMatch(/^HTTP\/1\.1 200 /)
  expect(health).toMatch(/^x-by: route\r$/im)
  expect(health).toMatch(/\r\n\r\nfine$/)
  expect(await ask('/gone')).toMatch(/^HTTP\/1\.1 410 /)
  expect(await ask('/old')).toMatch(/^HTTP\/1\.1 302 [\s\S]*\r\nlocation: \/new\r\n/i)
  expect(await ask('/none')).toMatch(/^HTTP\/1\.1 404 [\s\S]*404 Not Found: no route\n$/)
  expect(await ask('/../x')).toMatch(/^HTTP\/1\.1 400 [\s\S]*400 Bad Request: ambiguous path\n$/)
})

it('a CONNECT gets no 2xx, which would open a tunnel', async () => {
  const ask = async (status: number) => {
    const { lookup } = createRouter({ routes: [{ respond: { status } }] })
    const { port } = await startProxy({ lookup, requests: 'every' })
    const client = await connect(port)
    client.write('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')
    return (await client.ended()).slice(9, 12)
  }
  expect([await ask(200), await ask(403)]).toEqual(['501', '403'])
})

it('an HTTP/2 client without a route is reset, as it could not read an answer', async () => {
  const { lookup } = createRouter({ routes: [{ respond: {} }] })
  const { port } = await startProxy({ lookup })
  const client = await connect(port)
  client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  await expect(client.ended()).rejects.toThrow('ECONNRESET')
  expect(client.received).toHaveLength(0)
})
