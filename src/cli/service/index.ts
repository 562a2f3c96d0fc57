export { checkConfig } from './check.ts'
export { Service, type SharedContext } from './service.ts'
export { makeTicketKeys } from './tls-terminator.ts'
