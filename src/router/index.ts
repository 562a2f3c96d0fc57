export { byServerName, inPrecedence } from './matcher.ts'
export type { RouteOptions, RouteRedirect, RouteResponse, RouterPool } from './options.ts'
export { createRouter, Router, type RouterOptions } from './router.ts'
