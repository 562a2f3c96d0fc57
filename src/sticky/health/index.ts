export { Health } from './health.ts'
export { checkHealth, type HealthOptions, type HealthSettings } from './options.ts'
