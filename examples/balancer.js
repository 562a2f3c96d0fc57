// @ts-check
import { createBalancer, createStickyServer } from 'badass'

const balancer = createBalancer({
  backends: [
    { port: 3001, id: 'blue' },
    { port: 3002, id: 'green', weight: 2 },
    { port: 3003, id: 'spare', backup: true },
  ],
  algorithm: 'least-connections',
  queue: 5_000, // ms
  health: { path: '/healthz', interval: 2_000 }, // ms
  secret: 'change me',
})
balancer.on('down', ({ id }, error) => console.error(`${id} is down: ${error.message}`))
balancer.on('up', ({ id }) => console.error(`${id} is up`))

createStickyServer(balancer.lookup, balancer.errback, {
  cookie: { insert: true, indirect: true },
}).listen(8080)
