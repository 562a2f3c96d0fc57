import { type Config, poolsOf } from '../config/index.ts'
import type { Io } from '../output.ts'
import { filesOf, readTargets, type Targets } from './backend-tls.ts'
import { Certificates, FileWatch } from './certificates.ts'
import { isPath } from './pem.ts'

/** Called when the files have changed. */
export interface TlsFileEvents {
  certificates(renewed: Certificates): void
  targets(renewed: Targets): void
}

export interface TlsFiles {
  /** For clients. Undefined: no TLS. */
  readonly certificates: Certificates | undefined
  /** The backends with their certificates. */
  readonly targets: Targets
  readonly watches: readonly FileWatch<unknown>[]
}

/** Reads the certificates that a config names. @throws {ConfigError} if a file cannot be used */
export async function loadTlsFiles(config: Config, say: Io['say'], events: TlsFileEvents): Promise<TlsFiles> {
  const eventsOf = <T>(what: string, use: (renewed: T) => void) => ({
    changed: (renewed: T) => {
      use(renewed)
      say(`${what} changed; using the new ones`)
    },
    failed: (error: Error) => say(`${what} changed, but cannot be used; keeping the old ones: ${error.message}`),
  })
  const pools = poolsOf(config)
  const [ofTargets, targets] = await FileWatch.load(
    filesOf(pools),
    () => readTargets(pools),
    eventsOf('certificates for backends', events.targets),
  )
  if (config.tls.length === 0) return { certificates: undefined, targets, watches: [ofTargets] }
  const [watch, certificates] = await FileWatch.load(
    [...config.tls.flatMap(({ cert, key }) => [cert, key]), config.clientCa?.pem].filter(isPath),
    () => Certificates.load(config.tls, config),
    eventsOf('certificates', events.certificates),
  )
  return { certificates, targets, watches: [ofTargets, watch] }
}
