import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { startService } from './support.ts'

expectNoWarnings()

const SEES_EVERY: [name: string, config: Partial<Config>][] = [
  ['--forwarded', { forwarded: 'x' }],
  ['--rate', { rate: { requests: 10, per: 1_000, burst: 10 } }],
]

const TUNNELS: [request: string, status: number][] = [
  ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 501],
  ['GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n', 400],
]

test.each(
  SEES_EVERY.flatMap(([name, config]) => TUNNELS.map(([request, status]) => ({ name, config, request, status }))),
)('$name: no tunnel for requests that would not be seen ($status)', async ({ config, request, status }) => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], requests: 'every', ...config })
  const client = await connect(port)
  client.write(request)
  expect(await client.until('\r\n\r\n')).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(backend.accepted).toBe(0)
})

test.each(['first', 'every'] as const)('--requests %s: no Upgrade to HTTP/2 reaches the backend', async (requests) => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], requests, http2: 'refuse', forwarded: 'x' })
  const client = await connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n')
  expect(await (await backend.next()).until('\r\n\r\n')).not.toMatch(/h2c|http2/i)
})

test('without such an option CONNECT reaches the backend', async () => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], requests: 'every' })
  const client = await connect(port)
  client.write(TUNNELS[0]![0])
  const peer = await backend.next()
  expect(await peer.until('\r\n\r\n')).toMatch(/^CONNECT a:80 /)
})
