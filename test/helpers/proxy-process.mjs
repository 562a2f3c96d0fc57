// The engine in a process of its own, so that it can be measured from outside. What is asked for over IPC is done, and
// answered.
import { subscribe } from 'node:diagnostics_channel'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer } from 'badass'

const servers = []
/** The ports of all clients of servers that are watched. */
const accepted = []

const orders = {
  /** Listens with a proxy to one backend, and returns its port. */
  async listen({ backend, isModified, isWatched, ...limits }) {
    if (isWatched) subscribe('badass:connection:open', ({ connection }) => accepted.push(connection.client.remotePort))
    const server = createServer({ lookup: () => backend, ...(isModified && { modify: () => undefined }), ...limits })
    servers.push(server)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return server.address().port
  },

  /** Memory in use, in bytes, once there is no more garbage, and connections that are open. */
  async usage() {
    for (let i = 0; i < 4; i++) {
      await turn()
      globalThis.gc?.()
    }
    const { heapUsed } = process.memoryUsage()
    return { heapUsed, open: servers.reduce((sum, { counters }) => sum + counters.open, 0) }
  },

  /** Has all drain, and returns the ports of the clients that had been accepted. */
  async drain(ms) {
    await Promise.all(servers.map((server) => server.drain(ms)))
    return accepted
  },
}

process.on('message', async ({ id, order, given }) => process.send({ id, result: await orders[order](given) }))
process.on('disconnect', () => process.exit())
