import { createPrivateKey, type X509Certificate } from 'node:crypto'
import { stat } from 'node:fs/promises'
import tls from 'node:tls'
import { type Config, ConfigError, show } from '../config/index.ts'
import { counted } from '../exit.ts'
import { type AlpnOptions, HTTP_1_1 } from './alpn.ts'
import { askingFor, type ClientRules, loadClientRules } from './client-certificates.ts'
import { isPath, parseCertificate, readPem } from './pem.ts'

interface Pair {
  certificate: X509Certificate
  context: tls.SecureContext
  cert: Buffer
  key: Buffer
}

/** What all handshakes have in common. Without `protocols`, they offer HTTP/1.1. */
export type HandshakeRules = Pick<Config, 'tlsMinVersion' | 'clientCa'> & { protocols?: AlpnOptions }

/** Certificates with their keys, and the rules of the handshakes that use them. The first is the default, for clients without a matching server name. */
export class Certificates {
  readonly #pairs: readonly [Pair, ...Pair[]]
  readonly #options: tls.TlsOptions
  /** Undefined: clients are not asked for certificates. */
  readonly clients: ClientRules | undefined
  readonly protocols: AlpnOptions

  private constructor(
    pairs: readonly [Pair, ...Pair[]],
    options: tls.TlsOptions,
    clients: ClientRules | undefined,
    protocols: AlpnOptions,
  ) {
    this.#pairs = pairs
    this.#options = options
    this.clients = clients
    this.protocols = protocols
  }

  /** Reads at least one pair. @throws {ConfigError} on the first of them that cannot be used */
  static async load(given: Config['tls'], rules: HandshakeRules = {}): Promise<Certificates> {
    const { tlsMinVersion, clientCa, protocols = HTTP_1_1 } = rules
    const clients = clientCa && (await loadClientRules(clientCa))
    const options: tls.TlsOptions = {
      ...(tlsMinVersion && { minVersion: `TLSv${tlsMinVersion}` }),
      ...(clients && askingFor(clients)),
    }
    const pairs = await Promise.all(given.map((pair) => loadPair(pair, options)))
    return new Certificates(pairs as unknown as readonly [Pair, ...Pair[]], options, clients, protocols)
  }

  /** The first pair with the rules, as options of `tls.createServer`. */
  get first(): tls.TlsOptions & { cert: Buffer; key: Buffer } {
    const { cert, key } = this.#pairs[0]
    return { ...this.#options, cert, key }
  }

  /** The PEM of each certificate with its chain. */
  get chains(): Buffer[] {
    return this.#pairs.map(({ cert }) => cert)
  }

  /** For people: the names of each certificate, and the time of its end. */
  get names(): string[] {
    return this.#pairs.map(({ certificate: { subjectAltName, subject, validTo } }) => {
      const names = (subjectAltName ?? subject).replaceAll(/\b(?:DNS|IP Address):/g, '')
      return `${names} until ${validTo}`
    })
  }

  /** The context for a server name. An exact match wins over a wildcard. */
  contextFor(host: string): tls.SecureContext {
    const find = (wildcards: boolean) =>
      this.#pairs.find(({ certificate }) => certificate.checkHost(host, { wildcards }) !== undefined)
    return (find(false) ?? find(true) ?? this.#pairs[0]).context
  }
}

async function loadPair(given: Config['tls'][number], options: tls.SecureContextOptions): Promise<Pair> {
  const [cert, key] = await Promise.all([readPem('tls', given.cert), readPem('tls', given.key)])
  const name = (which: 'cert' | 'key') => (isPath(given[which]) ? show(given[which]) : `the text of ${which}`)
  const parse = <T>(which: 'cert' | 'key', expected: string, make: () => T): T => {
    try {
      return make()
    } catch (error) {
      const reason = (error as Error).message.split('\n', 1)
      throw new ConfigError(`tls: expected ${expected}, got ${name(which)} (${reason})`)
    }
  }
  const certificate = parse('cert', 'a certificate in PEM', () => parseCertificate(cert))
  const privateKey = parse('key', 'a private key in PEM, without a passphrase', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(`tls: expected the key of ${name('cert')}, got ${name('key')}`)
  }
  // OpenSSL also checks the rest of the chain, and refuses keys that are too small.
  const context = parse('cert', 'a certificate, with its chain', () =>
    tls.createSecureContext({ ...options, cert, key }),
  )
  return { certificate, context, cert, key }
}

export interface WatchEvents<T> {
  changed(content: T): void
  /** The changed files cannot be used. */
  failed(error: Error): void
}

/**
 * Polls files with `stat`, and loads all of them when one changes. `stat` follows symbolic links, which Kubernetes swaps
 * to update a secret. A file that is half written fails once, and loads when it changes again.
 */
export class FileWatch<T> {
  readonly #paths: readonly string[]
  readonly #read: () => Promise<T>
  readonly #events: WatchEvents<T>
  readonly #interval: number
  #stamp: string | undefined
  #lastError: string | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  private constructor(paths: readonly string[], read: () => Promise<T>, events: WatchEvents<T>, interval: number) {
    this.#paths = paths
    this.#read = read
    this.#events = events
    this.#interval = interval
  }

  /** Loads the files with `read`, and throws what it throws. `interval`: ms between checks. */
  static async load<T>(
    paths: readonly string[],
    read: () => Promise<T>,
    events: WatchEvents<T>,
    interval = 1_000,
  ): Promise<[FileWatch<T>, T]> {
    const watch = new FileWatch(paths, read, events, interval)
    // Take the stamp first, so that a change during the read is noticed next time.
    watch.#stamp = await watch.#readStamp()
    return [watch, await read()]
  }

  /** Starts polling. Changes since `load` are noticed. */
  start(): void {
    this.#wait()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #wait(): void {
    if (this.#isStopped || this.#paths.length === 0) return
    this.#timer = setTimeout(() => void counted(this.#look()), this.#interval).unref()
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
      const content = await this.#read()
      this.#lastError = undefined
      if (!this.#isStopped) this.#events.changed(content)
    } catch (error) {
      const { message } = error as Error
      if (!this.#isStopped && message !== this.#lastError) this.#events.failed(error as Error)
      this.#lastError = message
    }
  }

  /** A string that changes when one of the files does. */
  async #readStamp(): Promise<string> {
    const stamps = this.#paths.map((path) =>
      stat(path).then(
        ({ dev, ino, size, mtimeMs, ctimeMs }) => [dev, ino, size, mtimeMs, ctimeMs].join(),
        (error: NodeJS.ErrnoException) => error.code,
      ),
    )
    return (await Promise.all(stamps)).join(' ')
  }
}
