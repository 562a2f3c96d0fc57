import type tls from 'node:tls'
import { expect, test } from 'vitest'
import { connect } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { certificate, connectTls, makeCertificate } from '../../helpers/tls.ts'
import { configOf, startService } from './support.ts'

expectNoWarnings()

const other = makeCertificate(['DNS:b.test'])
const TLS = { tls: [certificate(), other] }
const OLD = { maxVersion: 'TLSv1.2', rejectUnauthorized: false } as const

/** The version of TLS that a client gets. */
async function versionAt(port: number, options: tls.ConnectionOptions = {}): Promise<string | null> {
  const { socket } = await connectTls(port, { rejectUnauthorized: false, ...options })
  const version = (socket as tls.TLSSocket).getProtocol()
  socket.destroy()
  return version
}

test.each(['localhost', 'b.test', 'unknown.test'])('refuses TLS 1.2 with 1.3; server name %s', async (servername) => {
  const { port, said, service } = await startService({ ...TLS, tlsMinVersion: '1.3' })
  await expect(connectTls(port, { ...OLD, servername })).rejects.toThrow(/alert protocol version/)
  expect(await versionAt(port, { servername })).toBe('TLSv1.3')
  expect(await said.until('failed')).toContain('the TLS version of the client is too old')
  expect(service.counters).toMatchObject({ handshakeFailures: 1 })
})

test.each([undefined, '1.2'] as const)('accepts TLS 1.2, and no older one, with %s', async (tlsMinVersion) => {
  const { port } = await startService({ ...TLS, ...(tlsMinVersion && { tlsMinVersion }) })
  expect(await versionAt(port, OLD)).toBe('TLSv1.2')
  const older = { ...OLD, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await expect(connectTls(port, older)).rejects.toThrow(/alert protocol version/)
})

test('a session of before a reload does not bring back the older version', async () => {
  const { port, service } = await startService(TLS)
  const { socket } = await connectTls(port, OLD)
  const session = (socket as tls.TLSSocket).getSession()
  socket.destroy()
  const resumed = await connectTls(port, { ...OLD, session })
  expect((resumed.socket as tls.TLSSocket).isSessionReused()).toBe(true)
  await service.reload(configOf({ ...TLS, tlsMinVersion: '1.3' }))
  await expect(connectTls(port, { ...OLD, session })).rejects.toThrow(/alert protocol version/)
})

test('holds for the answer to clients beyond a limit', async () => {
  const { port } = await startService({ ...TLS, tlsMinVersion: '1.3', maxConnections: 1 })
  await connect(port)
  await expect(connectTls(port, OLD)).rejects.toThrow()
  const refused = await connectTls(port)
  refused.write(GET)
  expect(await refused.ended()).toMatch(/^HTTP\/1\.1 503 /)
})
