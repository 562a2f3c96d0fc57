// @ts-check
export default { listen: '8080', backends: ['3001', '3002'], sticky: true }

// A target is '/static/x' or, with the same meaning, 'http://host/static/x' (RFC 9112 3.2.2).
/** @param {string} target */
const pathOf = (target) => target.replace(/^https?:\/\/[^/?]*/i, '')

/**
 * Runs before a backend is chosen. If it returns a Dest, the request goes there instead.
 * @param {import('badass').Head} head
 * @param {import('badass').ClientInfo} client
 */
export function lookup(head, client) {
  head.headers['X-Client'] = client.remoteAddress
  return pathOf(head.target).startsWith('/static/') ? { port: 3003, host: '127.0.0.1' } : undefined
}

/** @param {import('badass').Head} head */
export function modify(head) {
  head.headers['X-Frame-Options'] = 'DENY'
}
