export type { Connection } from './connection.ts'
export { isExhausted, messageOf, type Phase, ProxyError, type ProxyErrorCode, proxyErrorCodes } from './error.ts'
export { type ConnectionEvents, hear } from './events.ts'
export { isNetwork, Networks, normalize } from './networks.ts'
export {
  anObject,
  type ClientInfo,
  checkBy,
  flag,
  type Hooks,
  integer,
  type Limits,
  LONGEST_MS,
  OPTION_RULES,
  type ProxyOptions,
  type Rule,
  show,
} from './options.ts'
export {
  type BehindProxyOptions,
  behindProxy,
  ProxyHeaderError,
  type ProxyHeaderErrorCode,
  proxyHeaderErrorCodes,
} from './proxy-protocol/index.ts'
export { HeadReader } from './reader.ts'
export { plainText } from './reply.ts'
export { addUp, type Counters, createServer, handler, ProxyServer } from './server.ts'
export { after, hostPort, reset } from './socket.ts'
export type { ConnectionState } from './states.ts'
export { type Dest, headerFor, openUpstream, type StreamDest, whenConnected } from './upstream.ts'
