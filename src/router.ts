// The entry `badass/router`.
export {
  createRouter,
  type RouteOptions,
  type RouteRedirect,
  type RouteResponse,
  Router,
  type RouterOptions,
  type RouterPool,
} from './router/index.ts'
