import type { CertificateStatus } from '../certificate-status.ts'
import { type Config, poolsOf } from '../config/index.ts'
import type { Io } from '../output.ts'
import { alpnOptions } from './alpn.ts'
import { filesOf, readTargets, type Targets } from './backend-tls.ts'
import { backendStatuses, listenerStatuses } from './certificate-files.ts'
import { Certificates, FileWatch } from './certificates.ts'
import { isPath } from './pem.ts'

/** Called when the files have changed. */
export interface TlsFileEvents {
  certificates(renewed: Certificates): void
  targets(renewed: Targets): void
}

/** Files that are read together, with what was read last. */
interface Group<T> {
  readonly watch: FileWatch<T>
  content: T
  statuses: readonly CertificateStatus[]
}

/** The TLS files that a config names. After `start` they are read again when they change. */
export class TlsFiles {
  readonly #listeners: Group<Certificates> | undefined
  readonly #backends: Group<Targets>

  private constructor(backends: Group<Targets>, listeners: Group<Certificates> | undefined) {
    this.#backends = backends
    this.#listeners = listeners
  }

  /** @throws {ConfigError} if a file cannot be used */
  static async load(config: Config, say: Io['say'], events: TlsFileEvents): Promise<TlsFiles> {
    const pools = poolsOf(config)
    const backends = await loadGroup('certificates for backends', say, {
      paths: filesOf(pools),
      read: () => readTargets(pools),
      use: events.targets,
      statuses: (targets) => backendStatuses(config, targets),
    })
    if (config.tls.length === 0) return new TlsFiles(backends, undefined)
    const protocols = alpnOptions(config)
    const listeners = await loadGroup('certificates', say, {
      paths: [...config.tls.flatMap(({ cert, key }) => [cert, key]), config.clientCa?.pem].filter(isPath),
      read: () => Certificates.load(config.tls, { ...config, protocols }),
      use: events.certificates,
      statuses: (certificates) => listenerStatuses(config, certificates),
    })
    return new TlsFiles(backends, listeners)
  }

  /** For clients. Undefined: no TLS. */
  get certificates(): Certificates | undefined {
    return this.#listeners?.content
  }

  /** The backends with their certificates. */
  get targets(): Targets {
    return this.#backends.content
  }

  get statuses(): CertificateStatus[] {
    return [...(this.#listeners?.statuses ?? []), ...this.#backends.statuses]
  }

  start(): void {
    this.#backends.watch.start()
    this.#listeners?.watch.start()
  }

  stop(): void {
    this.#backends.watch.stop()
    this.#listeners?.watch.stop()
  }
}

interface Source<T> {
  readonly paths: readonly string[]
  read(): Promise<T>
  use(renewed: T): void
  statuses(content: T): readonly CertificateStatus[]
}

async function loadGroup<T>(what: string, say: Io['say'], source: Source<T>): Promise<Group<T>> {
  const { paths, read, use, statuses } = source
  const [watch, content] = await FileWatch.load(paths, read, {
    changed: (renewed) => {
      use(renewed)
      Object.assign(group, { content: renewed, statuses: statuses(renewed) })
      say(`${what} changed; using the new ones`)
    },
    failed: (error) => {
      group.statuses = group.statuses.map((one) => ({ ...one, error: error.message }))
      say(`${what} changed, but cannot be used; keeping the old ones: ${error.message}`)
    },
  })
  const group: Group<T> = { watch, content, statuses: statuses(content) }
  return group
}
