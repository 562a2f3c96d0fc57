export { readArguments } from './arguments.ts'
export { type Address, type Config, ConfigError } from './config.ts'
export { firstLineOf } from './files.ts'
export { show } from './words.ts'
