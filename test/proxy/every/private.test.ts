import net from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { closeIdleBackends, type Dest } from '../../../src/index.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { expectNoWarnings, OK, startProxy } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, open, response, serve, start } from './support.ts'

expectNoWarnings()

afterEach(() => void vi.useRealTimers())

const POST = head('Content-Length: 5\r\n', 'POST / HTTP/1.1')
const LOGIN = head('Authorization: NTLM TlRMTVNTUAAB\r\n')

/** A client that has logged in, and its idle connection to the backend. */
async function logIn(options: Parameters<typeof start>[0] = {}, answer = OK) {
  const all = await start(options)
  all.client.write(LOGIN)
  const peer = await all.backend.next()
  await serve(peer, answer)
  await all.client.until('ok')
  return { ...all, peer }
}

describe('a connection is private to one client', () => {
  test.for(['NTLM TlRMTVNTUAAB', 'Negotiate abc'])('after a request with Authorization: %s', async (value) => {
    const all = await start()
    all.client.write(head(`Authorization: ${value}\r\n`))
    const peer = await all.backend.next()
    await serve(peer, OK)
    await all.client.until('ok')
    await open(all)
    // It still belongs to this client.
    all.client.write(head())
    expect(await serve(peer, OK)).toBe(head())
    all.client.end()
    expect(await peer.ended()).toBe('')
    expect(all.backend.accepted).toBe(2)
  })

  test.for([
    ['401 Unauthorized', 'WWW-Authenticate: Basic realm="x", NTLM\r\n'],
    ['407 Proxy Authentication Required', 'Proxy-Authenticate: Negotiate\r\n'],
  ])('from the moment a %s offers such a login', async ([status, fields]) => {
    const all = await start()
    all.client.write(head())
    const peer = await all.backend.next()
    await serve(peer, response(`${fields}Content-Length: 2\r\n`, 'ok', status))
    await all.client.until('ok')
    await open(all)
    all.client.write(`${POST}hello`)
    expect(await serve(peer, OK, 'hello')).toBe(`${POST}hello`)
  })

  test.for(['between', 'during'])(
    'of a user who logs in on one that another client used before: %s requests',
    async (when) => {
      const all = await start()
      all.client.write(head())
      const peer = await all.backend.next()
      await serve(peer, OK)
      await all.client.until('ok')
      const user = await connect(all.port)
      user.write(head('Authorization: Negotiate abc\r\n'))
      await peer.until('abc')
      if (when === 'between') {
        await serve(peer, OK)
        await user.until('ok')
      }
      peer.received = Buffer.alloc(0)
      // That client must neither use it, nor close it when it leaves.
      all.client.write(head())
      await serve(all.backend, OK)
      await all.client.until(OK + OK)
      all.client.end()
      await all.client.closed()
      if (when === 'during') peer.write(OK)
      await user.until('ok')
      user.write(head('X: 1\r\n'))
      expect(await serve(peer, OK)).toBe(head('X: 1\r\n'))
      await user.until(OK + OK)
      expect(all.backend.accepted).toBe(2)
    },
  )

  test('with sendProxy, and with connect', async () => {
    const backend = await Backend.start()
    const connects = () => net.connect(backend.port, host)
    for (const dest of [{ port: backend.port, host, sendProxy: 1 }, { connect: connects }] as Dest[]) {
      const { port } = await startProxy({ requests: 'every', lookup: () => ({ ...dest }) })
      const before = backend.accepted
      for (let i = 1; i <= 2; i++) {
        const client = await connect(port)
        client.write(head())
        const peer = await backend.next()
        await serve(peer, OK)
        await client.until('ok')
        client.write(head())
        await serve(peer, OK)
        await client.until(OK + OK)
        client.end()
        await peer.ended()
        expect(backend.accepted - before).toBe(i)
      }
    }
  })

  test('until lookup names another destination, which closes it', async () => {
    const [a, b] = [await Backend.start(), await Backend.start()]
    const ways = [a, b].map(
      ({ port }) =>
        () =>
          net.connect(port, host),
    )
    const { port } = await startProxy({
      requests: 'every',
      lookup: ({ target }) => ({ connect: ways[Number(target[1])]! }),
    })
    const client = await connect(port)
    client.write(head('', 'GET /0 HTTP/1.1'))
    const peer = await a.next()
    await serve(peer, OK)
    await client.until('ok')
    client.write(head('', 'GET /1 HTTP/1.1'))
    expect(await peer.ended()).toBe('')
    await serve(b, OK)
    await client.until(OK + OK)
  })
})

describe('an idle private connection closes', () => {
  test('when closeIdleBackends is called. The next request of its client uses a new one', async () => {
    const { backend, client, peer } = await logIn()
    closeIdleBackends({ port: backend.port, host })
    expect(await peer.ended()).toBe('')
    client.write(`${POST}hello`)
    expect(await serve(backend, OK, 'hello')).toBe(`${POST}hello`)
    await client.until(OK + OK)
  })

  test('with sendProxy or connect, too', async () => {
    const backend = await Backend.start()
    const place = { port: backend.port, host }
    const way = { connect: () => net.connect(place) }
    const cases: [dest: Dest, closed: Dest][] = [
      [{ ...place, sendProxy: 1 }, place],
      [way, way],
    ]
    for (const [dest, closed] of cases) {
      const client = await connect((await startProxy({ requests: 'every', lookup: () => ({ ...dest }) })).port)
      client.write(head())
      const peer = await backend.next()
      await serve(peer, OK)
      await client.until('ok')
      closeIdleBackends(closed)
      expect(await peer.ended()).toBe('')
    }
  })

  test('after a shared one, if only some must close', async () => {
    const all = await logIn()
    const shared = await open(all)
    closeIdleBackends({ port: all.backend.port, host }, 1)
    expect(await shared.ended()).toBe('')
    all.client.write(head())
    expect(await serve(all.peer, OK)).toBe(head())
  })

  test('a second before the backend would close it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    const { peer } = await logIn({}, response('Keep-Alive: timeout=30\r\nContent-Length: 2\r\n', 'ok'))
    vi.advanceTimersByTime(30_000)
    expect(await peer.ended()).toBe('')
  })

  test.for(['a byte', 'an end'])('after %s from the backend', async (what) => {
    const { backend, client, peer } = await logIn()
    if (what === 'a byte') peer.write('H')
    else peer.end()
    await peer.ended().catch(() => undefined)
    await turns(20)
    client.write(head())
    expect(await serve(backend, OK)).toBe(head())
    await client.until(OK + OK)
  })
})

test('no limit of the pool closes a private connection: a login takes several requests', async () => {
  const { client, peer } = await logIn({ pool: { idleLifetime: 0, maxIdle: 0, maxIdleTotal: 0, maxRequests: 1 } })
  client.write(LOGIN)
  expect(await serve(peer, OK)).toBe(LOGIN)
  await client.until(OK + OK)
})
