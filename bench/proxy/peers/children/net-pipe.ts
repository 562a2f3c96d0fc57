import net from 'node:net'
import { backend, serve } from './say.ts'

serve(
  net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ port: backend, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    client.pipe(upstream).pipe(client)
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
  }),
)
