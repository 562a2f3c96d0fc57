import { validateBalancer } from '../../balancer/index.ts'
import { addressText, type Config, DEFAULT_POOL, idOf, poolsOf } from '../config/index.ts'
import type { Certificates } from './certificates.ts'
import { ClientLimits } from './client-limits.ts'
import { Generation } from './generation.ts'
import { Pools, poolOptions } from './pools.ts'
import { TlsFiles } from './tls-files.ts'

/**
 * Checks a config as a start does, but does not listen, connect or look up names. Returns lines that say what would run.
 * @throws {Error} with a one-line message; a TypeError or ConfigError if the config is at fault
 */
export async function checkConfig(config: Config): Promise<string[]> {
  const ignored = () => undefined
  const { certificates, targets } = await TlsFiles.load(config, ignored, { certificates: ignored, targets: ignored })
  for (const options of poolOptions(config, targets, () => '').values()) validateBalancer(options)
  const shared = { pools: new Pools(new Map(), ignored), limits: new ClientLimits(ignored) }
  new Generation(config, { ...shared, requested: ignored, sayLack: ignored })
  return describe(config, certificates)
}

function describe(config: Config, certificates: Certificates | undefined): string[] {
  const { listen, alpn, routing, requests, workers, sticky, secret, admin, hooks } = config
  const lines: [what: string, value: string][] = [
    ['listen', listen.map((address) => `${addressText(address)}${address.tls ? ' (TLS)' : ''}`).join(', ')],
    ['certificates', certificates?.names.join('; ') ?? ''],
    ['alpn', alpn?.join(', ') ?? ''],
    ['client certificates', clientsOf(certificates)],
    ...poolsOf(config).map(({ name, backends }): [string, string] => [
      name === DEFAULT_POOL ? 'backends' : `pool ${name}`,
      backends.map(idOf).join(', '),
    ]),
    ['routes', routing ? String(routing.routes.length) : ''],
    ['requests', requests],
    ['workers', String(workers)],
    ['sticky', sticky ? `cookie ${sticky.name}, ${keysText(secret?.length ?? 0)}` : ''],
    ['hooks', Object.keys(hooks).join(', ')],
    ['admin', admin ? addressText(admin.listen) : ''],
  ]
  return lines.filter(([, value]) => value !== '').map(([what, value]) => `${what}: ${value}`)
}

function clientsOf(certificates: Certificates | undefined): string {
  const { clients } = certificates ?? {}
  return clients ? `${clients.isRequired ? 'required' : 'optional'}, of ${clients.names.join('; ')}` : ''
}

function keysText(count: number): string {
  if (count === 0) return 'without a secret'
  return count === 1 ? 'with 1 secret' : `with ${count} secrets`
}
