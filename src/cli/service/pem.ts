import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigError, type Pem, show } from '../config/index.ts'

/** Whether a setting names a PEM file. Otherwise it is PEM itself. */
export function isPath(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('-----BEGIN')
}

/** The bytes of PEM, read from its file if there is one. `option` stands before the message. @throws {ConfigError} */
export async function readPem(option: string, pem: Pem): Promise<Buffer> {
  if (!isPath(pem)) return typeof pem === 'string' ? Buffer.from(pem) : Buffer.from(pem)
  try {
    return await readFile(pem)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new ConfigError(`${option}: cannot read ${show(pem)}: ${code === 'ENOENT' ? 'no such file' : message}`)
  }
}

/** Requires PEM: X509Certificate reads DER too, but TLS does not. */
export function parseCertificate(pem: Buffer): X509Certificate {
  if (!pem.includes('-----BEGIN')) throw new Error('not PEM')
  return new X509Certificate(pem)
}
