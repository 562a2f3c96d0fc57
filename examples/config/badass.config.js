// @ts-check
export default { listen: '8080', backends: ['3001', '3002'], sticky: true }

/**
 * Runs before a backend is chosen. If it returns a Dest, the request goes there instead.
 * @param {import('badass').Head} head
 * @param {import('badass').ClientInfo} client
 */
export function lookup(head, client) {
  head.headers['X-Client'] = client.remoteAddress
  return head.path.startsWith('/static/') ? { port: 3003, host: '127.0.0.1' } : undefined
}

/** @param {import('badass').Head} head */
export function modify(head) {
  head.headers['X-Frame-Options'] = 'DENY'
}
