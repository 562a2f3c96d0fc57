export {
  type AlgorithmName,
  type BackendOptions,
  type BackendStatus,
  Balancer,
  type BalancerEvents,
  type BalancerLookup,
  type BalancerOptions,
  createBalancer,
  type DnsOptions,
  type KeyOf,
  type Route,
} from './balancer/index.ts'
export type { CookieOptions } from './cookie.ts'
export type { HealthOptions } from './health/index.ts'
export { createStickyServer, type StickyDest, type StickyLookup, type StickyOptions } from './server.ts'
