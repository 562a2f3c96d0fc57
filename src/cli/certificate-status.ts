import { X509Certificate } from 'node:crypto'

export type CertificateUse = 'listener' | 'client-ca' | 'backend' | 'backend-ca'

/** A file of certificates that is in use. */
export interface CertificateStatus {
  readonly use: CertificateUse
  /** Its path, or the place in the config that has the PEM itself. */
  readonly file: string
  /** Names and addresses of the first certificate; for CAs, those of all. At most 20. */
  readonly names: readonly string[]
  /** Issuer of the first certificate. */
  readonly issuer: string
  /** ms since 1970, of the first certificate. */
  readonly notBefore: number | undefined
  /** ms since 1970: the earliest end of all certificates in the file. */
  readonly notAfter: number | undefined
  /** The certificate that ends first, if it is not the first one. */
  readonly earliest?: string | undefined
  /** Why the file that is on the disk now is not in use. */
  readonly error?: string | undefined
}

export const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs
const MOST_NAMES = 20

/** Reads a chain, or the CAs of a file. It never throws, as the TLS stack has accepted the PEM already. */
export function certificateStatus(use: CertificateUse, file: string, pem: Buffer): CertificateStatus {
  const all = certificatesIn(pem)
  const [first] = all
  if (!first) return { use, file, names: [], issuer: '', notBefore: undefined, notAfter: undefined }
  const named = use === 'listener' || use === 'backend' ? [first] : all
  const last = all.reduce((one, other) => (endOf(other) < endOf(one) ? other : one))
  return {
    use,
    file,
    names: named.flatMap(namesOf).slice(0, MOST_NAMES),
    issuer: oneLine(first.issuer),
    notBefore: Date.parse(first.validFrom),
    notAfter: endOf(last),
    ...(last !== first && { earliest: oneLine(last.subject) }),
  }
}

/** Joins what several processes say of their files: the earliest end of each counts. */
export function mergeCertificates(processes: readonly (readonly CertificateStatus[])[]): CertificateStatus[] {
  const merged = new Map<string, CertificateStatus>()
  for (const one of processes.flat()) {
    const key = `${one.use}\0${one.file}`
    const known = merged.get(key)
    const [kept, other] = known && (known.notAfter ?? 0) <= (one.notAfter ?? 0) ? [known, one] : [one, known]
    const error = kept.error ?? other?.error
    merged.set(key, { ...kept, ...(error !== undefined && { error }) })
  }
  return [...merged.values()]
}

function certificatesIn(pem: Buffer): X509Certificate[] {
  return (pem.toString('latin1').match(PEM_CERTIFICATE) ?? []).flatMap((one) => {
    try {
      return [new X509Certificate(one)]
    } catch {
      return []
    }
  })
}

/** Node before 22.10 has no `validToDate`. */
function endOf({ validTo }: X509Certificate): number {
  return Date.parse(validTo)
}

const NAME = /(?:DNS|IP Address|URI|email):("(?:[^"\\]|\\.)*"|[^,]+)/g

function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(NAME)].map(([, name]) => name!)
  return names.length > 0 ? names : [/^CN=(.*)$/m.exec(subject)?.[1] ?? oneLine(subject)]
}

function oneLine(subject: string | undefined): string {
  return (subject ?? '').replaceAll('\n', ', ')
}
