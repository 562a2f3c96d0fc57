export { Health } from './health.ts'
export { type HealthOptions, type HealthSettings, validateHealth } from './options.ts'
