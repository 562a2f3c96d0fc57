// @ts-check
import { createServer } from 'badass'
import { createRouter } from 'badass/router'

const to = (/** @type {number} */ port) => ({ lookup: () => ({ port, host: '127.0.0.1' }) })

const router = createRouter({
  pools: { app: to(3001), static: to(3002), api: to(3003) },
  routes: [
    { pool: 'app' },
    { path: '/static/', pool: 'static' },
    { path: '/api/', pool: 'api' },
    { path: '/api/old', redirect: '/api/new' },
    { host: '*.shop.example', redirect: 'https://shop.example{path}' },
  ],
})

createServer({ requests: 'every', lookup: router.lookup }).listen(8080)
