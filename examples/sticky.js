// @ts-check
import { createStickyServer } from 'badass'

/** @type {Record<string, number>} */
const backends = { a: 3001, b: 3002, c: 3003 }
const ids = Object.keys(backends)

createStickyServer(
  (_head, sticky) => {
    const isKnown = sticky !== undefined && Object.hasOwn(backends, sticky)
    const id = isKnown ? sticky : (ids[Math.floor(Math.random() * ids.length)] ?? 'a')
    return { port: backends[id] ?? 0, host: '127.0.0.1', sticky: id }
  },
  undefined,
  { cookie: { name: 'home', secret: 'change me', indirect: true } },
).listen(8080)
