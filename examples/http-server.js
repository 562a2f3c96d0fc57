// @ts-check
import http from 'node:http'
import { createServer } from 'badass'

// Your application, or any framework's: http.createServer(express()).
const app = http.createServer((request, response) => response.end(`the app answers ${request.url}\n`))
app.emit('listening') // starts its headersTimeout and requestTimeout, as it never listens itself

/** @type {import('badass').ProxyOptions<import('badass').Dest>} */
const options = {
  requests: 'every',
  lookup: (head) => (head.path.startsWith('/search') ? { port: 3001, host: '127.0.0.1' } : { server: app }),
}
createServer(options).listen(8080)
