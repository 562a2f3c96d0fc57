import { createPrivateKey } from 'node:crypto'
import tls from 'node:tls'
import { messageOf } from '../../show.ts'
import { ConfigError, DEFAULT_POOL, type Pem, type Pool, show, type Target } from '../config/index.ts'
import { isPath, parseCertificate, readPem } from './pem.ts'

const NAMES = ['ca', 'cert', 'key'] as const

/** The backends of each pool, by its name. */
export type Targets = ReadonlyMap<string, readonly Target[]>

/** Paths of the PEM files that the backends' `tls` options name. */
export function filesOf(pools: readonly Pool[]): string[] {
  const targets = pools.flatMap(({ backends }) => backends)
  return targets.flatMap(({ tls }) => NAMES.map((name) => typeof tls === 'object' && tls[name]).filter(isPath))
}

/** The backends with file contents in place of paths. @throws {ConfigError} on the first file that cannot be used */
export async function readTargets(pools: readonly Pool[]): Promise<Targets> {
  const read = async ({ name, backends, place = placeOf(name) }: Pool) => {
    return [name, await Promise.all(backends.map((target, i) => readTarget(`${place}[${i}]`, target)))] as const
  }
  return new Map(await Promise.all(pools.map(read)))
}

export function placeOf(name: string): string {
  return name === DEFAULT_POOL ? 'backends' : `pools.${name}.backends`
}

async function readTarget(place: string, target: Target): Promise<Target> {
  if (typeof target.tls !== 'object') return target
  return { ...target, tls: await readOptions(`${place}.tls`, target.tls) }
}

async function readOptions(place: string, options: tls.ConnectionOptions): Promise<tls.ConnectionOptions> {
  const read: { [K in (typeof NAMES)[number]]?: Buffer } = {}
  for (const name of NAMES) {
    const value = options[name] as Pem | undefined
    if (value !== undefined) read[name] = await readPem(`${place}.${name}`, value)
  }
  const { ca, cert, key } = read
  const what = (name: (typeof NAMES)[number]) => (isPath(options[name]) ? show(options[name]) : 'something else')
  const check = <T>(name: (typeof NAMES)[number], expected: string, make: () => T): T => {
    try {
      return make()
    } catch (error) {
      const reason = messageOf(error).split('\n', 1)
      throw new ConfigError(`${place}.${name}: expected ${expected}, got ${what(name)} (${reason})`)
    }
  }
  if (ca) check('ca', 'certificates in PEM', () => parseCertificate(ca))
  const certificate = cert && check('cert', 'a certificate in PEM', () => parseCertificate(cert))
  const privateKey = key && check('key', 'a private key in PEM, without a passphrase', () => createPrivateKey(key))
  if (!certificate !== !privateKey) {
    const [given, missing] = certificate ? ['cert', 'key'] : ['key', 'cert']
    throw new ConfigError(`${place}.${missing}: expected the ${missing} that belongs to the ${given}, got none`)
  }
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(`${place}.key: expected the certificate's own key, got ${what('key')}`)
  }
  check(cert ? 'cert' : 'ca', 'certificates that OpenSSL can use', () => tls.createSecureContext(read))
  return { ...options, ...read }
}
