export { type CookieOptions, StickyCookie } from './cookie.ts'
export { createStickyServer, type NextDest, type StickyDest, type StickyLookup, type StickyOptions } from './server.ts'
