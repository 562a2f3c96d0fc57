export type { Connection } from './connection.ts'
export { type Phase, ProxyError, type ProxyErrorCode, proxyErrorCodes } from './error.ts'
export type { ConnectionEvents } from './events.ts'
export {
  type ClientInfo,
  checkBy,
  flag,
  type Hooks,
  type Limits,
  OPTION_RULES,
  type ProxyOptions,
  type Rule,
} from './options.ts'
export { type Counters, createServer, handler, ProxyServer } from './server.ts'
export { after } from './socket.ts'
export type { ConnectionState } from './states.ts'
export type { Dest } from './upstream.ts'
