// @ts-check
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { behindProxy, handler } from 'badass'

const secure = tls.createServer(
  { cert: readFileSync('cert.pem'), key: readFileSync('key.pem') },
  handler((head, client) => {
    head.headers['X-Client'] = `${client.remoteAddress} ${client.remotePort}`
    return { port: 3001, host: '127.0.0.1' }
  }),
)
net
  .createServer(
    behindProxy(secure, {
      proxyProtocol: ['127.0.0.1'],
      refused: (socket, error) => console.error(socket.remoteAddress, error.message),
    }),
  )
  .listen(8443)
