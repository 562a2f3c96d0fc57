export { inPrecedence } from './matcher.ts'
export type { RouteOptions, RouteRedirect, RouteResponse, RouterPool } from './options.ts'
export { comparableHost } from './request-path.ts'
export { createRouter, Router, type RouterOptions } from './router.ts'
