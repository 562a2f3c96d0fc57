// @ts-check
import { createServer } from 'badass'

createServer({
  proxyProtocol: ['127.0.0.1', '10.0.0.0/8', 'unix'],
  lookup: (head, client) => {
    head.headers['X-Client'] = `${client.remoteAddress} ${client.remotePort}`
    return { port: 3001, host: '127.0.0.1', sendProxy: 2 } // tells the backend in turn
  },
}).listen(8080)
