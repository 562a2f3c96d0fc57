export { AdminPage } from './admin-page.ts'
export type { AdminStatus, Controls, Workers } from './controls.ts'
export type { ProcessMetrics } from './process.ts'
