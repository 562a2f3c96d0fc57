/**
 * Fields that frame, route or authenticate a message, or tell who the client is, besides those that start with X-Forwarded.
 * A request's Connection must not name them, as the next hop deletes what it names (RFC 9110 7.6.1), and no trailer may
 * have these names, as some recipients merge trailers into the head (RFC 9110 6.5.1).
 */
export const GUARDED: readonly string[] = [
  ...['host', 'content-length', 'transfer-encoding', 'cookie', 'authorization'],
  ...['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip'],
  ...['client-cert', 'client-cert-chain', 'x-request-id', 'traceparent'],
]
export const X_FORWARDED = 'x-forwarded'
