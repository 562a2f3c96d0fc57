// @ts-check
import { createServer } from 'badass'

createServer({
  requests: 'every',
  lookup: (head, client) => {
    head.headers['X-Forwarded-For'] = client.remoteAddress
    return { port: 3001, host: '127.0.0.1' }
  },
}).listen(8080)
