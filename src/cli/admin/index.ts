export { AdminPage } from './admin-page.ts'
export type { ProcessMetrics } from './process.ts'
export type { Controls, Workers } from './server.ts'
