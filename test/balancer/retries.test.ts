import http from 'node:http'
import type net from 'node:net'
import { expect, it } from 'vitest'
import type { BalancerOptions } from '../../src/balancer/index.ts'
import type { ProxyOptions } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { readAll } from '../helpers/bytes.ts'
import { connect, listen } from '../helpers/net.ts'
import { ask, balancerOf, cookieIn, eventsOf, idle, request, stickyOf, until } from './support.ts'

type Way = 'resets' | 'ends' | 'says nothing' | 'answers'

/** A proxy before backends that treat each request so. */
async function start(ways: readonly Way[], options: BalancerOptions = {}, limits: Partial<ProxyOptions> = {}) {
  /** The requests in the order of their arrival, as 'backend method body'. */
  const seen: string[] = []
  const backends = await Promise.all(
    ways.map(async (way, i) => {
      const server = http.createServer((incoming, response) => {
        incoming.on('error', () => undefined)
        const act = (body: Buffer) => {
          seen.push(`${i} ${incoming.method} ${body.toString()}`.trim())
          if (way === 'answers') response.writeHead(200, { 'Set-Cookie': 'session=1' }).end(`I am ${i}`)
          else if (way === 'resets') incoming.socket.resetAndDestroy()
          else if (way === 'ends') incoming.socket.end()
        }
        // A body that does not come in one piece is not awaited.
        if (incoming.url === '/late') act(Buffer.alloc(0))
        else readAll(incoming).then(act, () => undefined)
      })
      server.on('checkContinue', (incoming: http.IncomingMessage & { socket: net.Socket }) => {
        seen.push(`${i} ${incoming.method} Expect`)
        incoming.socket.resetAndDestroy()
      })
      return { port: await listen(server), id: String(i) }
    }),
  )
  const balancer = balancerOf({ backends, retries: 2, ...options })
  const { lookup, errback } = balancer
  const server = createStickyServer(lookup, errback, { requests: 'every', ...limits } as object)
  return { seen, balancer, server, port: await listen(server), events: eventsOf(balancer) }
}

it.each<[way: Way]>([['resets'], ['ends']])('a GET goes on to another backend after one that %s', async (way) => {
  const { seen, port, server, balancer, events } = await start([way, way, 'answers', 'answers'])
  expect(await ask(port)).toMatch(/I am 2\b/)
  expect(seen).toEqual(['0 GET', '1 GET', '2 GET'])
  expect(server.counters).toMatchObject({ requests: 1, retries: 2 })
  // Nobody is down: a client may have caused it.
  expect(events).toEqual([])
  await idle(balancer)
  expect(balancer.backends.map(({ total }) => total)).toEqual([1, 1, 1, 0])
})

it('no more often than the option says, and then the client gets the error of the last backend', async () => {
  const { seen, port } = await start(['resets', 'resets', 'resets', 'answers'])
  expect(await ask(port)).toMatch(/^HTTP\/1.1 502 .*NO_RESPONSE\n$/s)
  expect(seen).toEqual(['0 GET', '1 GET', '2 GET'])
})

it('never without the option', async () => {
  const { seen, port, server } = await start(['resets', 'answers'], { retries: 0 })
  expect(await ask(port)).toMatch(/^HTTP\/1.1 502 /)
  expect(seen).toEqual(['0 GET'])
  expect(server.counters.retries).toBe(0)
})

it('a response head that comes too late counts as none', async () => {
  const { seen, port } = await start(['says nothing', 'answers'], {}, { responseHeadTimeout: 20 })
  expect(await ask(port)).toMatch(/I am 1\b/)
  expect(seen).toEqual(['0 GET', '1 GET'])
})

it.each(['PUT', 'DELETE'])('a whole body goes to each, with %s', async (method) => {
  const { seen, port } = await start(['resets', 'answers'])
  const text = `${request(`${method} / HTTP/1.1`, 'Content-Length: 4')}body`
  expect(await ask(port, text)).toMatch(/I am 1\b/)
  expect(seen).toEqual([`0 ${method} body`, `1 ${method} body`])
})

it.each<[what: string, text: string, seen: string]>([
  ['a POST', `${request('POST / HTTP/1.1', 'Content-Length: 4')}body`, '0 POST body'],
  ['a method of unknown meaning', request('FROB / HTTP/1.1').replace('FROB', 'PATCH'), '0 PATCH'],
  ['a PUT whose body has not arrived', `${request('PUT /late HTTP/1.1', 'Content-Length: 4')}bo`, '0 PUT'],
  ['a request with Expect', request('GET / HTTP/1.1', 'Expect: 100-continue'), '0 GET Expect'],
])('%s is never sent twice', async (_, text, expected) => {
  const { seen, port, server } = await start(['resets', 'answers', 'answers'])
  const client = await connect(port)
  client.write(text)
  expect(await client.ended()).toMatch(/^HTTP\/1.1 502 /)
  expect(seen).toEqual([expected])
  expect(server.counters.retries).toBe(0)
})

it('a client whose home gave no response gets another home; with persist, the error', async () => {
  const back = request('GET / HTTP/1.1', `Cookie: sticky=${stickyOf('0')}`)
  const moved = await start(['resets', 'answers'])
  const answer = await ask(moved.port, back)
  expect(answer).toMatch(/I am 1\b/)
  expect(cookieIn(answer)).toBe(`sticky=${stickyOf('1')}`)
  const stays = await start(['resets', 'answers'], { failover: 'persist' })
  expect(await ask(stays.port, back)).toMatch(/^HTTP\/1.1 502 /)
  expect(stays.seen).toEqual(['0 GET'])
})

it('each failure counts for an ejection, and failed connects in between do not use up the retries', async () => {
  const { seen, port, balancer, events } = await start(
    ['resets', 'resets', 'resets', 'answers', 'answers', 'answers'],
    {
      eject: 1,
    },
  )
  balancer.add({ port: 1, host: '127.0.0.1', id: 'dead', weight: 65_535 })
  expect(await ask(port)).toMatch(/^HTTP\/1.1 502 |I am/)
  await until(() => balancer.backends.every(({ connections }) => connections === 0))
  expect(events).toContain('down dead')
  expect(seen).toEqual(['0 GET', '1 GET', '2 GET'])
  // Half of the backends stay.
  expect(events.filter((event) => event.startsWith('eject'))).toEqual(['eject dead', 'eject 0', 'eject 1'])
})
