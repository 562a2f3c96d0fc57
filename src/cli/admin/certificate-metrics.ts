import type { CertificateStatus } from '../certificate-status.ts'
import { about, labelsOf, sample } from './text-format.ts'

const NOT_AFTER = 'badass_tls_certificate_not_after_timestamp_seconds'

/** When the certificates end, as Prometheus text. */
export function certificateMetrics(all: readonly CertificateStatus[]): string {
  const samples = all.flatMap(({ use, file, notAfter }) =>
    notAfter === undefined ? [] : [sample(NOT_AFTER, labelsOf({ use, file }), notAfter / 1_000)],
  )
  return about(NOT_AFTER, 'gauge', 'When the first certificate of a file ends.') + samples.join('')
}
