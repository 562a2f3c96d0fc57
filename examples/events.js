// @ts-check
import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'badass'

const server = createServer(() => ({ port: 3001, host: '127.0.0.1' })).listen(8080)

server.on('proxyError', (error, connection) => {
  console.error(connection.client.remoteAddress, error.phase, error.message)
})

/** @param {unknown} message */
function closed(message) {
  const { connection } = /** @type {import('badass').ConnectionEvents['close']} */ (message)
  console.log(connection.bytesRead, 'bytes in,', connection.bytesWritten, 'out,', server.counters.open, 'still open')
}
subscribe('badass:connection:close', closed)

process.once('SIGTERM', () => server.drain(30_000)) // ms
