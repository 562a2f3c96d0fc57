import net from 'node:net'
import { join } from 'node:path'

// The soak loads this into each process of the command (--import). It answers each connection to DIR/PID.sock with the
// bytes of the V8 heap that are in use after a garbage collection.

const directory = new URL(import.meta.url).searchParams.get('in')
if (directory !== null) {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    globalThis.gc?.()
    socket.end(String(process.memoryUsage().heapUsed))
  })
  // `exclusive`: in a cluster worker the worker itself listens, not the primary process.
  server.listen({ path: join(directory, `${process.pid}.sock`), exclusive: true }).unref()
}
