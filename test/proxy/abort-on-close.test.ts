import { describe, expect, it } from 'vitest'
import type { Connection, Dest } from '../../src/proxy/index.ts'
import { Backend, connect } from '../helpers/net.ts'
import { OK, startProxy, Watch } from '../helpers/proxy.ts'

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n'

/** A client whose lookup waits, and calls `abortOnClose` or not. */
async function waiting(requests: 'first' | 'every', aborts: boolean) {
  const watch = new Watch()
  const backend = await Backend.start()
  let choose: (dest: Dest) => void = () => undefined
  let ask: (connection: Connection) => void = () => undefined
  const asked = new Promise<Connection>((resolve) => {
    ask = resolve
  })
  const { port } = await startProxy<Dest>({
    requests,
    lookup: (_, client) => {
      const connection = [...watch.all('open')].map((one) => one.connection).find((one) => one.client === client)!
      if (aborts) connection.abortOnClose()
      ask(connection)
      return new Promise((resolve) => {
        choose = resolve
      })
    },
  })
  const client = await connect(port)
  client.write(`${POST}bo`)
  const connection = await asked
  return { watch, backend, client, connection, choose: () => choose({ port: backend.port, host: '127.0.0.1' }) }
}

describe.each(['first', 'every'] as const)('abortOnClose, with requests: %s', (requests) => {
  it('closes the connection of a client that ends its side', async () => {
    const { watch, client, connection, choose, backend } = await waiting(requests, true)
    client.end()
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_GONE'])
    expect(connection.state).toBe('Closed')
    choose()
    await client.closed()
    expect(backend.accepted).toBe(0)
  })

  it('loses no byte', async () => {
    const { client, choose, backend } = await waiting(requests, true)
    await client.flush('dy')
    choose()
    const peer = await backend.next()
    expect(await peer.until('body')).toMatch(/^POST .*\r\n\r\nbody$/s)
    peer.end(OK)
    expect(await client.ended()).toContain('\r\n\r\nok')
  })

  it('lets a client that ends its side wait if it was not called', async () => {
    const { client, choose, backend } = await waiting(requests, false)
    client.end('dy')
    choose()
    const peer = await backend.next()
    expect(await peer.until('body')).toMatch(/^POST .*\r\n\r\nbody$/s)
    peer.end(OK)
    expect(await client.ended()).toContain('\r\n\r\nok')
  })

  it('does nothing when no hook runs', async () => {
    const { client, connection, choose, backend } = await waiting(requests, false)
    choose()
    const peer = await backend.next()
    connection.abortOnClose()
    client.end('dy')
    await peer.until('body')
    peer.end(OK)
    expect(await client.ended()).toContain('\r\n\r\nok')
  })
})
