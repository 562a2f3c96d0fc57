// The entry `badass/balancer`.
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
  type EjectOptions,
  type HealthOptions,
  type KeyName,
  type KeyOf,
  type QueueOptions,
  type Route,
} from './balancer/index.ts'
