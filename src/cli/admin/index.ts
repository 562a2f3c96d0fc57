export { AdminPage } from './admin-page.ts'
export { type AdminStatus, type BackendDetails, type Controls, NoAnswer, type Workers } from './controls.ts'
export type { ProcessMetrics } from './process.ts'
