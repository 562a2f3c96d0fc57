import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import tls from 'node:tls'
import { ConfigError, show } from '../config/index.ts'

/** Paths of PEM files. */
export interface PairFiles {
  cert: string
  key: string
}

interface Pair {
  certificate: X509Certificate
  context: tls.SecureContext
  cert: Buffer
  key: Buffer
}

/** Certificates with their keys. The first is for clients that name no host, or one that no certificate is for. */
export class Certificates {
  readonly #pairs: readonly [Pair, ...Pair[]]

  private constructor(pairs: readonly [Pair, ...Pair[]]) {
    this.#pairs = pairs
  }

  /** Reads one pair at least. @throws {ConfigError} of one line on the first that cannot be used */
  static async load(files: readonly PairFiles[]): Promise<Certificates> {
    const pairs = await Promise.all(files.map(loadPair))
    return new Certificates(pairs as unknown as readonly [Pair, ...Pair[]])
  }

  /** What `tls.createServer` takes of the first. */
  get first(): { cert: Buffer; key: Buffer } {
    const { cert, key } = this.#pairs[0]
    return { cert, key }
  }

  /** For a host: the certificate with that very name goes before one with a wildcard. */
  contextFor(host: string): tls.SecureContext {
    const find = (wildcards: boolean) =>
      this.#pairs.find(({ certificate }) => certificate.checkHost(host, { wildcards }) !== undefined)
    return (find(false) ?? find(true) ?? this.#pairs[0]).context
  }
}

async function loadPair(files: PairFiles): Promise<Pair> {
  const [cert, key] = await Promise.all([readBytes(files.cert), readBytes(files.key)])
  const certificate = parse(files.cert, 'a certificate in PEM', () => parseCertificate(cert))
  const privateKey = parse(files.key, 'a private key in PEM, without a passphrase', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(
      `tls: got the key ${show(files.key)} with ${show(files.cert)}; takes the certificate's own key`,
    )
  }
  // OpenSSL may find fault with what stands after the first certificate, or with a key that is too small for it.
  const context = parse(files.cert, 'a certificate, with its chain', () => tls.createSecureContext({ cert, key }))
  return { certificate, context, cert, key }
}

/** X509Certificate would take DER, which TLS does not. */
function parseCertificate(pem: Buffer): X509Certificate {
  if (!pem.includes('-----BEGIN')) throw new Error('no PEM')
  return new X509Certificate(pem)
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new ConfigError(`tls: cannot read ${show(path)}: ${code === 'ENOENT' ? 'no such file' : message}`)
  }
}

function parse<T>(path: string, takes: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw new ConfigError(`tls: got ${show(path)}; takes ${takes} (${(error as Error).message.split('\n', 1)})`)
  }
}

/** What a watch tells. */
export interface WatchEvents {
  changed(certificates: Certificates): void
  /** The files have changed, and cannot be used. */
  failed(error: Error): void
}

/**
 * Looks at files again and again, and reads all of them when one has changed. `stat` follows links: a Kubernetes secret
 * changes by the swap of a link that its files lie behind. What is half-written is told of once, and read again when
 * it changes.
 */
export class CertificateWatch {
  readonly #files: readonly PairFiles[]
  readonly #events: WatchEvents
  readonly #interval: number
  #stamp: string | undefined
  #lastError: string | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  private constructor(files: readonly PairFiles[], events: WatchEvents, interval: number) {
    this.#files = files
    this.#events = events
    this.#interval = interval
  }

  /** Loads the files. `interval` in ms. @throws {ConfigError} as `Certificates.load` */
  static async load(
    files: readonly PairFiles[],
    events: WatchEvents,
    interval = 1_000,
  ): Promise<[CertificateWatch, Certificates]> {
    const watch = new CertificateWatch(files, events, interval)
    // The stamp comes first: what changes while the files are read is seen the next time.
    watch.#stamp = await watch.#readStamp()
    const certificates = await Certificates.load(files)
    return [watch, certificates]
  }

  /** Begins to look. What has changed since the files were loaded is found. */
  start(): void {
    this.#wait()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #wait(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => void this.#look(), this.#interval).unref()
  }

  async #look(): Promise<void> {
    const stamp = await this.#readStamp()
    if (stamp !== this.#stamp) {
      this.#stamp = stamp
      await this.#load()
    }
    this.#wait()
  }

  async #load(): Promise<void> {
    try {
      const certificates = await Certificates.load(this.#files)
      this.#lastError = undefined
      if (!this.#isStopped) this.#events.changed(certificates)
    } catch (error) {
      const { message } = error as Error
      if (!this.#isStopped && message !== this.#lastError) this.#events.failed(error as Error)
      this.#lastError = message
    }
  }

  /** Changes whenever one of the files does. */
  async #readStamp(): Promise<string> {
    const paths = this.#files.flatMap(({ cert, key }) => [cert, key])
    const stamps = paths.map((path) =>
      stat(path).then(
        ({ dev, ino, size, mtimeMs, ctimeMs }) => [dev, ino, size, mtimeMs, ctimeMs].join(),
        (error: NodeJS.ErrnoException) => error.code,
      ),
    )
    return (await Promise.all(stamps)).join(' ')
  }
}
