// @ts-check
import { createServer } from 'badass'

createServer(
  () => ({ port: 3001, host: '127.0.0.1' }),
  undefined,
  (error, dest) => {
    if (dest?.port === 3001) return { port: 3002, host: '127.0.0.1' } // nothing has been sent yet
    return new Response(`No luck: ${error.code}\n`, { status: 503, headers: { 'Retry-After': '5' } })
  },
).listen(8080)
