import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CertificateStatus } from '../../../src/cli/certificate-status.ts'
import type { Service } from '../../../src/cli/service/service.ts'
import { Authority } from '../../helpers/authority.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, makeCertificate, saveCertificate } from '../../helpers/tls.ts'
import { scrape } from '../scrape.ts'
import { ADMIN, configOf, startService } from './support.ts'

interface Setup {
  pools: { name: string }[]
  listeners: { url: string; tls: boolean }[]
  certificates: CertificateStatus[]
}

async function setupOf({ adminUrl }: Service): Promise<Setup> {
  return (await (await fetch(new URL('api/setup', adminUrl))).json()) as Setup
}

const endOf = ({ cert }: { cert: Buffer }) => new Date(new X509Certificate(cert).validTo).getTime()
const inline = { cert: String(certificate().cert), key: String(certificate().key) }

test('/api/setup shows the certificates of listeners, clients and backends, each file once', async () => {
  const files = saveCertificate(certificate())
  const ca = join(temporaryDirectory(), 'ca.pem')
  writeFileSync(ca, new Authority('our CA').cert)
  const backend = { port: 1, host: '127.0.0.1', tls: { ca, ...files } }
  const { service } = await startService({
    backends: [
      { ...backend, id: 'a' },
      { ...backend, id: 'b' },
      { ...backend, id: 'c', tls: inline },
      { ...backend, id: 'd', tls: true },
    ],
    tls: [files, inline],
    clientCa: { pem: ca, isRequired: false },
    requests: 'every',
    admin: ADMIN,
  })
  const { certificates, listeners } = await setupOf(service)
  expect(certificates.map(({ use, file, issuer }) => [use, file, issuer])).toEqual([
    ['listener', files.cert, 'CN=localhost'],
    ['listener', 'tls[1].cert', 'CN=localhost'],
    ['client-ca', ca, 'CN=our CA'],
    ['backend', files.cert, 'CN=localhost'],
    ['backend-ca', ca, 'CN=our CA'],
    ['backend', 'backends[2].tls.cert', 'CN=localhost'],
  ])
  expect(certificates[0]).toMatchObject({
    notAfter: endOf(certificate()),
    names: expect.arrayContaining(['localhost']),
  })
  expect(listeners).toEqual([{ url: service.addresses[0], tls: true, alpn: ['http/1.1'], proxyProtocol: false }])
  const metric = await scrape(service.adminUrl!, 'badass_tls_certificate_not_after_timestamp_seconds')
  expect(metric[`use="listener",file="${files.cert}"`]).toBe(endOf(certificate()) / 1_000)
  expect(Object.keys(metric)).toHaveLength(6)
})

test('/api/setup shows a renewed certificate, and keeps the old one with an error if the new one cannot be used', async () => {
  const files = saveCertificate(certificate())
  const { service, said } = await startService({ tls: [files], admin: ADMIN })
  writeFileSync(files.cert, 'x')
  await said.until('keeping the old ones')
  const [broken] = (await setupOf(service)).certificates
  expect(broken).toMatchObject({ notAfter: endOf(certificate()), error: expect.stringContaining('expected') })
  const renewed = makeCertificate(['DNS:new.test'], 90)
  writeFileSync(files.key, renewed.key)
  writeFileSync(files.cert, renewed.cert)
  await said.until('using the new ones')
  const [one] = (await setupOf(service)).certificates
  expect(one).toMatchObject({ names: ['new.test'], notAfter: endOf(renewed) })
  expect(one).not.toHaveProperty('error')
})

test('/api/setup shows the new config after a reload', async () => {
  const { service } = await startService({ backends: [{ port: 1, host: '127.0.0.1' }], admin: ADMIN })
  expect(await setupOf(service)).toMatchObject({ pools: [{ backends: 1 }], certificates: [] })
  const files = saveCertificate(certificate())
  await service.reload(configOf({ backends: [1, 2].map((port) => ({ port })), tls: [files], admin: ADMIN }))
  const { pools, certificates, listeners } = await setupOf(service)
  expect([pools, certificates, listeners]).toMatchObject([[{ backends: 2 }], [{ file: files.cert }], [{ tls: true }]])
})

test('a certificate that ends soon is told at the start and at a reload, but not twice a day', async () => {
  const files = saveCertificate(makeCertificate(undefined, 3))
  const { service, said } = await startService({ tls: [files] })
  expect(said.all).toEqual([
    expect.stringMatching(`^certificate ${files.cert} \\(listener\\) expires on .*, in 2 days$`),
  ])
  await service.reload(configOf({ tls: [files] }))
  expect(said.all).toHaveLength(1)
  const others = saveCertificate(makeCertificate(undefined, 2))
  await service.reload(configOf({ tls: [files, others] }))
  expect(said.all.slice(1)).toEqual([expect.stringContaining(others.cert)])
})
