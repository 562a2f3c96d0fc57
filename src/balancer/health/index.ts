export { Health } from './health.ts'
export { type HealthOptions, type HealthSettings, type Ranges, readStatus, validateHealth } from './options.ts'
