import assert from 'node:assert/strict'
import { createBalancer, createStickyServer } from '../../dist/index.js'
import { check, onceOver } from './checks.mjs'
import { ask, backend, download, get, host, listen, SIZE } from './wire.mjs'

const cookie = { insert: true, indirect: true, secret: 'a secret of the tests', name: 'home' }
const homeIn = (answer) => /\r\nset-cookie: (home=[^;\r]+)/i.exec(answer)?.[1]

await check('sticky: a client comes back to its backend', async () => {
  const ports = { a: await listen(backend()), b: await listen(backend()) }
  let next = 0
  const seen = []
  const lookup = (_, sticky) => {
    const id = Object.hasOwn(ports, sticky ?? '') ? sticky : Object.keys(ports)[next++ % 2]
    seen.push(id)
    return { port: ports[id], host, sticky: id }
  }
  const front = await listen(createStickyServer(lookup, undefined, { cookie }))
  const home = homeIn(await ask(front, get('/3')))
  assert(home)
  for (let i = 0; i < 4; i++) await ask(front, get('/3', `Cookie: ${home}\r\n`))
  assert.deepEqual(seen, ['a', 'a', 'a', 'a', 'a'])
  await ask(front, get('/3', `Cookie: ${home}x\r\n`))
  assert.equal(seen.at(-1), 'b')
})

await check('sticky: a balancer with health checks, failover, and 100 MB down', async () => {
  const ports = [await listen(backend()), 1]
  const balancer = createBalancer({
    backends: ports.map((port) => ({ port, host })),
    health: { type: 'tcp', interval: 50 },
  })
  onceOver(() => balancer.close())
  const front = await listen(createStickyServer(balancer.lookup, balancer.errback, { cookie }))
  for (let i = 0; i < 6; i++) assert.match(await ask(front, get('/3')), /^HTTP\/1.1 200 /)
  await download(front, SIZE, { expected: /\r\nset-cookie: home=/i })
  assert.deepEqual(
    balancer.backends.map(({ state }) => state),
    ['up', 'down'],
  )
})
