// The entry `badass/sticky`: sticky cookies, and the backends that they name.
export * from './balancer.ts'
export {
  type CookieOptions,
  createStickyServer,
  type NextDest,
  type StickyDest,
  type StickyLookup,
  type StickyOptions,
} from './sticky/index.ts'
