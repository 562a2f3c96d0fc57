// @ts-check
import { createServer } from 'badass'

const blog = { port: 3001, host: '127.0.0.1' }
const shop = { port: 3002, host: '127.0.0.1' }

createServer({
  requests: 'every', // every request passes lookup, not only the first one of a connection
  lookup(head, client) {
    head.headers['X-Forwarded-For'] = client.remoteAddress
    return head.get('host')?.startsWith('blog.') ? blog : shop
  },
  modify(head) {
    head.headers['X-Frame-Options'] = 'DENY'
  },
}).listen(8080)
