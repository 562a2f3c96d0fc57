// @ts-check
import { createServer } from 'badass'
import { createBalancer } from 'badass/balancer'
import { createRouter } from 'badass/router'

const app = createBalancer({ backends: [{ port: 3001 }, { port: 3002 }] })
const api = createBalancer({ backends: [{ port: 3003 }], health: { path: '/healthz' } })

const { lookup, modify, errback } = createRouter({
  pools: { app, api },
  routes: [
    { pool: 'app' },
    { path: '/api', pool: 'api', stripPrefix: true },
    { path: '/admin', respond: { status: 403, body: 'Not from here.\n' } },
  ],
})

createServer({ requests: 'every', lookup, modify, errback }).listen(8080)
