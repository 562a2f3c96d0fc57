import { type CertificateStatus, type CertificateUse, certificateStatus } from '../certificate-status.ts'
import { type Config, type Pem, poolsOf } from '../config/index.ts'
import { placeOf, type Targets } from './backend-tls.ts'
import type { Certificates } from './certificates.ts'
import { isPath } from './pem.ts'

type Found = readonly [use: CertificateUse, pem: Pem, place: string, content: Buffer]

/** The certificates of the listeners, and the CA of their clients. */
export function listenerStatuses(
  { tls, clientCa }: Config,
  { chains, clients }: Certificates,
): readonly CertificateStatus[] {
  const own = tls.map(({ cert }, i): Found => ['listener', cert, `tls[${i}].cert`, chains[i]!])
  const ca: Found[] = clientCa && clients ? [['client-ca', clientCa.pem, 'tlsClientCa', clients.ca]] : []
  return statusesOf([...own, ...ca])
}

/** The certificates that backends get, and the CAs that theirs must come from. */
export function backendStatuses(config: Config, targets: Targets): readonly CertificateStatus[] {
  const found: Found[] = []
  for (const { name, backends, place = placeOf(name) } of poolsOf(config)) {
    for (const [i, { tls }] of backends.entries()) {
      const read = targets.get(name)?.[i]?.tls
      if (typeof tls !== 'object' || typeof read !== 'object') continue
      const at = `${place}[${i}].tls`
      if (tls.cert) found.push(['backend', tls.cert as Pem, `${at}.cert`, read.cert as Buffer])
      if (tls.ca) found.push(['backend-ca', tls.ca as Pem, `${at}.ca`, read.ca as Buffer])
    }
  }
  return statusesOf(found)
}

/** Thousands of backends may share a file. */
function statusesOf(found: readonly Found[]): CertificateStatus[] {
  const all = new Map<string, CertificateStatus>()
  for (const [use, pem, place, content] of found) {
    const file = isPath(pem) ? pem : place
    const key = `${use}\0${file}`
    if (!all.has(key)) all.set(key, certificateStatus(use, file, content))
  }
  return [...all.values()]
}
