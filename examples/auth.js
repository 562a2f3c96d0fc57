// @ts-check
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer } from 'badass'

/** @param {string} text */
const digest = (text) => createHash('sha256').update(text).digest()
const expected = digest(`Basic ${Buffer.from('ada:change me').toString('base64')}`)

createServer({
  requests: 'every',
  lookup(head) {
    const isAllowed = timingSafeEqual(digest(head.get('authorization') ?? ''), expected)
    if (!isAllowed) {
      return new Response('Sign in first.\n', { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="app"' } })
    }
    delete head.headers.Authorization
    head.headers['X-User'] = 'ada' // a client cannot set this field itself: each request passes here
    return { port: 3001, host: '127.0.0.1' }
  },
}).listen(8080)
