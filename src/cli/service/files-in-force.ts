import type { CertificateStatus } from '../certificate-status.ts'
import type { Io } from '../output.ts'
import { ExpiryWatch } from './expiry.ts'
import type { TlsFiles } from './tls-files.ts'

/** The TLS files of the config in force. It warns of certificates that end soon. */
export class FilesInForce {
  #files: TlsFiles | undefined
  readonly #expiry: ExpiryWatch

  constructor(say: Io['say']) {
    this.#expiry = new ExpiryWatch(say, () => this.certificates)
  }

  /** None until the start is done. */
  get certificates(): CertificateStatus[] {
    return this.#files?.statuses ?? []
  }

  /** From now on these are read again when they change, and no longer the ones before. */
  use(files: TlsFiles): void {
    this.#files?.stop()
    this.#files = files
    files.start()
    this.#expiry.check()
  }

  stop(): void {
    this.#files?.stop()
    this.#expiry.stop()
  }
}
