import fastProxy from 'fast-proxy'
import { createServer, dropConnection, setConnection } from './agent.ts'
import { backend, serve } from './say.ts'

const { proxy } = fastProxy({ base: `http://127.0.0.1:${backend}`, undici: { connections: null } })
const server = createServer((request, response) => {
  dropConnection(request)
  proxy(request, response, request.url!, {
    rewriteHeaders(headers) {
      setConnection({ headers }, request, response)
      return headers
    },
  })
})
serve(server, 'fast-proxy')
