export { Discovery, type DiscoverySettings, dnsName, type Name } from './discovery.ts'
export type { Discovered } from './records.ts'
