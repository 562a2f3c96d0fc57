// @ts-check
import { createServer } from 'badass'

const ports = [3001, 3002, 3003]
let next = 0

createServer(() => ({ port: ports[next++ % ports.length] ?? 0, host: '127.0.0.1' })).listen(8080)
