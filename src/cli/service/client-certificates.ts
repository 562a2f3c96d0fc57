import { constants, X509Certificate } from 'node:crypto'
import type tls from 'node:tls'
import type { ClientInfo, Head } from '../../index.ts'
import { tlsSocketOf } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'
import { PEM_CERTIFICATE } from '../certificate-status.ts'
import { type Config, ConfigError, show } from '../config/index.ts'
import { deleteFields } from './fields.ts'
import { invalidCertificate, NO_CERTIFICATE } from './handshake.ts'
import { isPath, readPem } from './pem.ts'

/** What is asked of clients during the handshake. */
export interface ClientRules {
  /** PEM. */
  readonly ca: Buffer
  readonly isRequired: boolean
  /** For people: the names of the CA, and the time of its end. */
  readonly names: readonly string[]
}

const FIELD = 'Client-Cert'

/** Client-Cert and Client-Cert-Chain, with what origins that read fields as CGI variables (RFC 3875 4.1.18) take for them. */
const LOOKALIKE = /^client[^a-z\d]cert(?:[^a-z\d]chain)?$/i

/** The value of Client-Cert for sockets whose client has a valid certificate. */
const values = new WeakMap<tls.TLSSocket, string>()

/** @throws {ConfigError} if the CA cannot be used */
export async function loadClientRules({ pem, isRequired }: NonNullable<Config['clientCa']>): Promise<ClientRules> {
  const ca = await readPem('tlsClientCa', pem)
  const fail = (reason: string) => {
    const got = isPath(pem) ? show(pem) : 'other text'
    return new ConfigError(`tlsClientCa: expected certificates in PEM, got ${got} (${reason})`)
  }
  const all = String(ca).match(PEM_CERTIFICATE)
  if (!all) throw fail('no certificate')
  try {
    // Node ignores those behind one that it cannot read.
    const names = all
      .map((one) => new X509Certificate(one))
      .map(({ subject, validTo }) => `${subject} until ${validTo}`)
    return { ca, isRequired, names: names.map((name) => name.replaceAll('\n', ', ')) }
  } catch (error) {
    throw fail(messageOf(error).split('\n', 1).join())
  }
}

/**
 * Options of a TLS server that asks clients for certificates. It resumes no sessions: a ticket could bring back a client
 * without a certificate, one whose certificate has expired, or one of another CA.
 */
export function askingFor({ ca, isRequired }: ClientRules): tls.TlsOptions {
  return { ca, requestCert: true, rejectUnauthorized: isRequired, secureOptions: constants.SSL_OP_NO_TICKET }
}

/** Checks the certificate of a client, after its handshake. Returns why the client is refused, or undefined. */
export function checkClient(socket: tls.TLSSocket, { isRequired }: ClientRules): string | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) return isRequired ? NO_CERTIFICATE : undefined
  if (!socket.authorized) return invalidCertificate(socket)
  // TLS 1.2 lets a client renegotiate with another certificate later. Nobody checks that one.
  values.set(socket, `:${certificate.raw.toString('base64')}:`)
  return undefined
}

/** Tells the backend the certificate of the client (RFC 9440 2.2), and nothing that the client says of it. */
export function writeClientCert(head: Head, client: ClientInfo): void {
  deleteFields(head, LOOKALIKE)
  const socket = tlsSocketOf(client)
  const value = socket && values.get(socket)
  if (value !== undefined) head.set(FIELD, value)
}
