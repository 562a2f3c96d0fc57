export { AdminPage } from './admin-page.ts'
export type { AdminStatus, BackendDetails, Controls, Workers } from './controls.ts'
export type { ProcessMetrics } from './process.ts'
