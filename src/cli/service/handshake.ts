import type tls from 'node:tls'
import { type Io, RepeatFilter } from '../output.ts'

export const PLAIN_HTTP = 'the client sent plain HTTP'

export const NO_CERTIFICATE = 'the client sent no certificate'

const REFUSED = 'the client refused the certificate'

/** Plain text for error codes. Codes that are not listed are printed as OpenSSL describes them. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ECONNRESET: 'the client closed the connection',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the client does not speak TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the TLS version of the client is too old',
  ERR_SSL_VERSION_TOO_LOW: 'the TLS version of the client is too old',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: NO_CERTIFICATE,
  ERR_SSL_NO_SHARED_CIPHER: 'no common cipher',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no common protocol in ALPN',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: `${REFUSED}: unknown issuer`,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: REFUSED,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `${REFUSED}: expired`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: `${REFUSED}: revoked`,
}

/** Why a handshake failed. */
export function reasonOf({ code, reason, message }: { code?: string; reason?: string; message?: string }): string {
  // OpenSSL 3.2 renamed alerts: SSLV3_ALERT_BAD_CERTIFICATE is SSL/TLS_ALERT_BAD_CERTIFICATE.
  const known = code === undefined ? undefined : REASONS[code.replace('SSL/TLS_ALERT', 'SSLV3_ALERT')]
  return known === undefined ? (reason ?? code ?? message ?? 'unknown reason') : `${known} (${code})`
}

/** Why a client's certificate was refused: OpenSSL's code. */
export function invalidCertificate({ authorizationError }: Pick<tls.TLSSocket, 'authorizationError'>): string {
  return `the certificate of the client is not valid (${String(authorizationError)})`
}

/** Reports failed handshakes, each reason at most once a minute. */
export function handshakeReporter(say: Io['say']): (reason: string, client: string) => void {
  const lines = new RepeatFilter(say)
  return (reason, client) => lines.say(reason, `TLS handshake with ${client} failed: ${reason}`)
}
