export { checkConfig } from './check.ts'
export { Service } from './service.ts'
export type { Operated, SharedContext } from './shared-context.ts'
export { makeTicketKeys } from './tls-terminator.ts'
