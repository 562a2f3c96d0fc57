import fastProxy from 'fast-proxy'
import { createServer } from './agent.ts'
import { backend, serve } from './say.ts'

const { proxy } = fastProxy({ base: `http://127.0.0.1:${backend}`, undici: { connections: null } })
serve(
  createServer((request, response) => proxy(request, response, request.url!, {})),
  'fast-proxy',
)
