import type { ProxyOptions } from '../../../src/index.ts'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { OK, startProxy, Watch } from '../../helpers/proxy.ts'

export const host = '127.0.0.1'

/** A head with these fields after Host. */
export const head = (fields = '', first = 'GET / HTTP/1.1') => `${first}\r\nHost: a\r\n${fields}\r\n`

export const response = (fields: string, body = '', status = '200 OK') => `HTTP/1.1 ${status}\r\n${fields}\r\n${body}`

/** A proxy with `requests: 'every'` before one backend, and a connected client. */
export async function start(options: Partial<ProxyOptions> = {}) {
  const backend = await Backend.start()
  const watch = new Watch()
  const lookup = () => ({ port: backend.port, host })
  const { port, server } = await startProxy({ lookup, requests: 'every', ...options })
  return { backend, watch, port, server, client: await connect(port) }
}

/** The same, after the client has sent `request` and the backend has accepted a connection. */
export async function meet(request: string, options: Partial<ProxyOptions> = {}) {
  const all = await start(options)
  all.client.write(request)
  return { ...all, peer: await all.backend.next() }
}

/** Reads the next request of a backend's connection up to `last`, and answers it. Returns the request. */
export async function serve(from: Backend | Peer, answer: string, last = '\r\n\r\n'): Promise<string> {
  const peer = from instanceof Backend ? await from.next() : from
  const request = await peer.until(last)
  peer.received = Buffer.alloc(0)
  peer.write(answer)
  return request
}

/** Sends a request as a new client. Returns the new connection of the backend. */
export async function open(all: Awaited<ReturnType<typeof start>>, request = head(), answer = OK): Promise<Peer> {
  const client = await connect(all.port)
  client.write(request)
  const peer = await all.backend.next()
  await serve(peer, answer)
  await client.until('ok')
  client.end()
  await client.closed()
  return peer
}

/** Waits for the end of a connection: a FIN, or a reset after the peer has sent too many bytes. */
export const left = (peer: Peer) => peer.ended().catch(() => '')
