export type { CookieOptions } from './cookie.ts'
export { createStickyServer, type StickyDest, type StickyLookup, type StickyOptions } from './server.ts'
