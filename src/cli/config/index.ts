export { offersHttp2 } from './alpn.ts'
export { readArguments } from './arguments.ts'
export { addressText, idOf } from './backends.ts'
export {
  type Address,
  type AlpnName,
  type Config,
  ConfigError,
  DEFAULT_POOL,
  type ForwardedForm,
  type Pem,
  type Pool,
  type PoolSettings,
  poolsOf,
  type RateSettings,
  type Routing,
  type Target,
} from './config.ts'
export { show } from './words.ts'
