export { type BodyLimits, BodyScanner } from './body.ts'
export { BodyError, type BodyErrorCode, bodyErrorCodes } from './body-error.ts'
export { type BodyFraming, bodyOf } from './body-framing.ts'
export { HeadError, type HeadErrorCode, headErrorCodes } from './error.ts'
export { Head, type Headers, type HeadKind } from './head.ts'
export { LenientScanner } from './lenient.ts'
export { DEFAULT_LIMITS, type HeadLimits } from './limits.ts'
export { type MessagePart, MessageReader, type MessageReaderOptions } from './message-reader.ts'
export { type ParseOptions, parseHead } from './parse.ts'
export {
  type Announced,
  type ProxyHeader,
  ProxyHeaderError,
  type ProxyHeaderErrorCode,
  ProxyHeaderScanner,
  type ProxyVersion,
  proxyHeader,
  proxyHeaderErrorCodes,
} from './proxy-header/index.ts'
export { HeadScanner, type Verdict } from './scanner.ts'
