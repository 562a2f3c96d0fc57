import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './tls.ts'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem']

export interface Issue {
  /** -1: the certificate has expired. */
  days?: number
  usage?: 'clientAuth' | 'serverAuth'
}

/** A certificate authority. */
export class Authority {
  readonly #own: Certificate

  constructor(name: string, days = 60) {
    this.#own = inFolder((run) => {
      run('req', '-x509', ...KEY, '-subj', `/CN=${name}`, '-days', String(days), '-out', 'cert.pem')
    })
  }

  /** PEM. */
  get cert(): Buffer {
    return this.#own.cert
  }

  issue(name: string, { days = 60, usage = 'clientAuth' }: Issue = {}): Certificate {
    return inFolder((run, write) => {
      write('ca.pem', this.#own.cert)
      write('ca.key', this.#own.key)
      write('extensions', `extendedKeyUsage=${usage}\n`)
      run('req', ...KEY, '-subj', `/CN=${name}`, '-out', 'request.pem')
      const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions']
      run('x509', '-req', '-in', 'request.pem', ...by, '-days', String(days), '-out', 'cert.pem')
    })
  }
}

/** Runs openssl in a folder. It must write cert.pem and key.pem there. */
function inFolder(
  make: (run: (...args: string[]) => void, write: (name: string, bytes: string | Buffer) => void) => void,
): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'badass-'))
  try {
    make(
      (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }),
      (name, bytes) => writeFileSync(join(folder, name), bytes),
    )
    return { cert: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
