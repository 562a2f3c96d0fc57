export { type BehindProxyOptions, behindProxy } from './behind-proxy.ts'
export { Client, clientOf } from './client.ts'
export { tlsListener } from './header-results.ts'
