import { createRequire } from 'node:module'

/** The build replaces this name by the package's version. */
declare const PACKAGE_VERSION: string

/** The version of the package. */
export const VERSION =
  typeof PACKAGE_VERSION === 'string'
    ? PACKAGE_VERSION
    : (createRequire(import.meta.url)('../../package.json') as { version: string }).version
