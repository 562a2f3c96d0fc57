export { ProxyHeaderError, type ProxyHeaderErrorCode, proxyHeaderErrorCodes } from './error.ts'
export { type ProxyHeader, ProxyHeaderScanner } from './scanner.ts'
export { type Announced, type ProxyVersion, proxyHeader } from './writer.ts'
