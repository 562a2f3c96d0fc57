import { expect, onTestFinished, test } from 'vitest'
import type { CertificateStatus } from '../../../src/cli/certificate-status.ts'
import { ExpiryWatch } from '../../../src/cli/service/expiry.ts'

const HOUR = 60 * 60_000
const DAY = 24 * HOUR
const START = Date.UTC(2030, 0, 1)

function certificate(file: string, days: number, about: Partial<CertificateStatus> = {}): CertificateStatus {
  const notAfter = START + days * DAY
  return { use: 'listener', file, names: [], issuer: '', notBefore: 0, notAfter, ...about }
}

function start(...all: CertificateStatus[]) {
  const said: [line: string, about: string | undefined][] = []
  const clock = { now: START }
  const watch = new ExpiryWatch(
    (line, about) => said.push([line, about]),
    () => all,
    () => clock.now,
  )
  onTestFinished(() => watch.stop())
  const lines = (at: number) => {
    clock.now = START + at
    watch.check()
    return said.splice(0).map(([line]) => line)
  }
  return { all, said, watch, lines }
}

test.each([
  [certificate('/a.pem', 14), undefined],
  [certificate('/a.pem', 13.9), 'certificate /a.pem (listener) expires on 2030-01-14, in 13 days'],
  [certificate('/a.pem', 1.5), 'certificate /a.pem (listener) expires on 2030-01-02, in 1 day'],
  [certificate('/a.pem', 0.5), 'certificate /a.pem (listener) expires on 2030-01-01, in less than a day'],
  [certificate('/a.pem', -3), 'certificate /a.pem (listener) expired on 2029-12-29'],
  [
    certificate('/ca.pem', 2, { use: 'client-ca', earliest: 'CN=old' }),
    'certificate /ca.pem (client-ca), with CN=old in it, expires on 2030-01-03, in 2 days',
  ],
  [certificate('/a.pem', 0, { notAfter: undefined }), undefined],
])('warns if less than 14 days are left: %j', (one, line) => {
  expect(start(one).lines(0)).toEqual(line === undefined ? [] : [line])
})

test('warns of each at most once a day, and again after a renewal that ends soon too', () => {
  const { all, lines } = start(certificate('/a.pem', 3), certificate('/b.pem', 3))
  expect(lines(0)).toHaveLength(2)
  expect(lines(HOUR)).toEqual([])
  expect(lines(DAY - 1)).toEqual([])
  expect(lines(DAY)).toHaveLength(2)
  expect(lines(DAY + HOUR)).toEqual([])
  all[0] = certificate('/a.pem', 4)
  expect(lines(DAY + 2 * HOUR)).toEqual([expect.stringContaining('/a.pem')])
})

test('warns again if the clock was set back', () => {
  const { lines } = start(certificate('/a.pem', 3))
  expect(lines(2 * DAY)).toHaveLength(1)
  expect(lines(DAY + 1)).toEqual([])
  expect(lines(0)).toHaveLength(1)
})

test('names its subject, so that workers repeat no line', () => {
  const { said, watch } = start(certificate('/a.pem', 3))
  watch.check()
  expect(said).toEqual([[expect.any(String), 'certificate listener /a.pem']])
})
