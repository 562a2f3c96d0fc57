export { Discovery, type DiscoverySettings, dnsName, type Name } from './discovery.ts'
export type { Found } from './records.ts'
