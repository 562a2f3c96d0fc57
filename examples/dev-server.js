// @ts-check
import { createServer } from 'badass'

// One origin in development: /api goes to the backend, the rest to the dev server, WebSockets for hot reload included.
createServer({
  requests: 'every',
  lookup: (head) => ({ host: 'localhost', port: head.path.startsWith('/api/') ? 3001 : 5173 }),
}).listen(8080)
