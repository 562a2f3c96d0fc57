import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { type CertificateStatus, certificateStatus, mergeCertificates } from '../../src/cli/certificate-status.ts'
import { Authority } from '../helpers/authority.ts'
import { makeCertificate } from '../helpers/tls.ts'

const own = makeCertificate(['DNS:a.test', 'DNS:*.b.test', 'IP:127.0.0.1', 'IP:::1'])

function datesOf(pem: Buffer) {
  const { validFrom, validTo } = new X509Certificate(pem)
  return { notBefore: new Date(validFrom).getTime(), notAfter: new Date(validTo).getTime() }
}

test('tells the names, the issuer and the dates of a certificate', () => {
  expect(certificateStatus('listener', '/a.pem', own.cert)).toEqual({
    use: 'listener',
    file: '/a.pem',
    names: ['a.test', '*.b.test', '127.0.0.1', '0:0:0:0:0:0:0:1'],
    issuer: 'CN=localhost',
    ...datesOf(own.cert),
  })
})

test('takes the common name without other names', () => {
  const { cert } = new Authority('our CA').issue('leaf')
  expect(certificateStatus('backend', 'x', cert)).toMatchObject({ names: ['leaf'], issuer: 'CN=our CA' })
})

test('the earliest end in a chain counts', () => {
  const short = new Authority('short', 3)
  const chain = Buffer.concat([short.issue('leaf', { days: 30 }).cert, Buffer.from('some words\n'), short.cert])
  const status = certificateStatus('listener', 'x', chain)
  expect(status).toMatchObject({ names: ['leaf'], earliest: 'CN=short', notAfter: datesOf(short.cert).notAfter })
  const long = new Authority('long', 90)
  const leaf = long.issue('leaf', { days: 30 })
  const other = certificateStatus('listener', 'x', Buffer.concat([leaf.cert, long.cert]))
  expect(other).toMatchObject(datesOf(leaf.cert))
  expect(other).not.toHaveProperty('earliest')
})

test('a file of CAs has the names of all, up to 20', () => {
  const all = Array.from({ length: 3 }, (_, i) => new Authority(`ca ${i}`, 9 - i))
  const status = certificateStatus('client-ca', 'x', Buffer.concat(all.map(({ cert }) => cert)))
  expect(status).toMatchObject({ names: ['ca 0', 'ca 1', 'ca 2'], earliest: 'CN=ca 2' })
  const many = certificateStatus('backend-ca', 'x', Buffer.concat(new Array(30).fill(all[0]!.cert)))
  expect(many.names).toHaveLength(20)
})

test.each(['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])('never throws: %j', (pem) => {
  expect(certificateStatus('listener', 'x', Buffer.from(pem))).toMatchObject({ names: [], notAfter: undefined })
})

test('of several processes, the one whose file ends first counts, with the error of any', () => {
  const status: CertificateStatus = { ...certificateStatus('listener', 'x', own.cert), notAfter: 2_000 }
  const other = { ...status, file: 'y' }
  const merged = mergeCertificates([
    [status, other],
    [{ ...status, notAfter: 1_000 }],
    [{ ...status, notAfter: 3_000, error: 'no such file' }],
  ])
  expect(merged).toEqual([{ ...status, notAfter: 1_000, error: 'no such file' }, other])
  expect(mergeCertificates([])).toEqual([])
})
