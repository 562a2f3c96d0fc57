// @ts-check
import { createServer } from 'badass'

createServer({
  requests: 'every',
  lookup(head) {
    if (head.get('host') !== 'shop.example') return { port: 3001, host: '127.0.0.1' }
    return new Response(null, { status: 308, headers: { Location: `https://www.shop.example${head.path}` } })
  },
}).listen(80)
