export type { Connection } from './connection.ts'
export { isExhausted, messageOf, type Phase, ProxyError, type ProxyErrorCode, proxyErrorCodes } from './error.ts'
export type { ConnectionEvents } from './events.ts'
export {
  type ClientInfo,
  checkBy,
  flag,
  type Hooks,
  integer,
  type Limits,
  OPTION_RULES,
  type ProxyOptions,
  type Rule,
} from './options.ts'
export { HeadReader } from './reader.ts'
export { addUp, type Counters, createServer, handler, ProxyServer } from './server.ts'
export { after, reset } from './socket.ts'
export type { ConnectionState } from './states.ts'
export { type Dest, openUpstream, type StreamDest, whenConnected } from './upstream.ts'
