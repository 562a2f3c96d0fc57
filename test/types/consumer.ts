// Nothing here runs: it is compiled as a user's own code would be, by the TypeScript of the project and by the oldest one
// that badass is for. Where an error is expected, it must be at that very line.
import http from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { Readable } from 'node:stream'
import tls from 'node:tls'
import {
  type BackendCheck,
  type BackendHistory,
  type BackendTransition,
  type Connection,
  createBalancer,
  createServer,
  createStickyServer,
  type Dest,
  type Head,
  handler,
  type ProxyError,
  type Route,
} from 'badass'
import { parseHead } from 'badass/parser'
import { createRouter } from 'badass/router'
import { createBalancer as another } from 'badass/sticky'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function expectType<T>(): <U>(value: U, isEqual: Equal<T, U>) => void

const dest = { port: 3001, host: '127.0.0.1' }
const lookup = (): { port: number; host: string } => dest
const balancer = createBalancer({ backends: [{ port: 3001 }] })

export const misspelt = [
  createServer({
    lookup,
    // @ts-expect-error: the option is to blame, and not the lookup
    headTimout: 5,
  }),
  createServer({
    lookup: (head, client) => (head.method === 'GET' && client.encrypted ? dest : undefined),
    // @ts-expect-error: a number
    headTimeout: '5',
  }),
  handler({
    lookup,
    // @ts-expect-error: the option is to blame, and not the lookup
    headTimout: 5,
  }),
  // @ts-expect-error: no form of Dest
  createServer(() => ({ prot: 3001 })),
]

export const servers = [
  createServer(lookup),
  createServer(() => undefined),
  createServer(async () => dest),
  createServer<Dest>((head) => (head.target === '/' ? { port: 1 } : { path: '/x' })),
  createServer<Dest>(() => ({ server: http.createServer() })),
  createServer(() => ({ connect: () => net.connect(80) })),
  createServer(() => ({ connect: async () => net.connect(80) })),
  createServer<Dest>(() => ({ connect: (): Duplex | Promise<Duplex> => net.connect(80), tls: true })),
  createServer(
    (head, client) => {
      head.headers['X-Forwarded-For'] = client.remoteAddress
      head.headers['X-Gone'] = undefined
      return { ...dest, mine: 'x' }
    },
    (head, given, request) => {
      expectType<{ mine: string; port: number; host: string }>()(given, true)
      expectType<Head>()(request, true)
      head.headers['X-Asked'] = [request.target, given.mine]
    },
    (error, given) => {
      expectType<ProxyError>()(error, true)
      return given ? { ...given, port: 3002 } : undefined
    },
  ),
  createServer({ lookup, errback: () => Readable.from(['bye']), modify: async () => undefined }),
  createServer(() => new Response('hello')),
  createServer(async () => Response.json({ up: true })),
  createServer({
    lookup: (head) => (head.get('authorization') ? { ...dest, mine: 'x' } : new Response('no', { status: 401 })),
    modify: (_head, given) => expectType<{ mine: string; port: number; host: string }>()(given, true),
    errback: (_error, given) => {
      expectType<{ mine: string; port: number; host: string } | undefined>()(given, true)
      return new Response('sorry', { status: 503 })
    },
  }),
  createServer({
    lookup: async (head) => (head.target === '/' ? { ...dest, mine: 'x' } : new Response(null, { status: 204 })),
    modify: (_head, given) => expectType<string>()(given.mine, true),
  }),
  // @ts-expect-error: an answer of another shape
  createServer(() => ({ status: 401, body: 'no' })),
  createServer({ lookup: balancer.lookup, errback: balancer.errback }),
]

for (const server of servers) {
  server.on('proxyError', (error, connection) => {
    expectType<ProxyError>()(error, true)
    expectType<Connection>()(connection, true)
  })
  server.once('proxyError', ({ code }) => code === 'LOOKUP_FAILED').on('connection', (socket) => socket.destroy())
  // @ts-expect-error: what is no function cannot listen
  server.on('proxyError', 'no listener')
}

balancer.setWeight('a', 5)
balancer.setWeight('a', undefined)
// @ts-expect-error: a number, or undefined
balancer.setWeight('a', null)
expectType<BackendHistory>()(balancer.history('a'), true)
expectType<BackendCheck[]>()(balancer.history('a').checks, true)
expectType<BackendTransition[]>()(balancer.history('a').transitions, true)
balancer.on('drain', ({ weight, configuredWeight }, by) => {
  expectType<number>()(weight + configuredWeight, true)
  expectType<'operator' | 'check'>()(by, true)
})

type Mine = Route & { mine: string }
const spread = (route: Route | undefined): Mine | undefined => route && { ...route, mine: 'x' }
export const sticky = [
  createStickyServer(() => ({ ...dest, sticky: 'a' })),
  createStickyServer(() => ({ ...dest, sticky: undefined })),
  createStickyServer(balancer.lookup, balancer.errback, { cookie: { insert: true } }),
  createStickyServer((head) => (head.target === '/up' ? new Response('up') : { ...dest, sticky: 'a' })),
  createStickyServer(balancer.lookup, () => new Response('sorry', { status: 503 })),
  // @ts-expect-error: without a sticky value no client would ever come back
  createStickyServer(() => ({ ...dest })),
  createStickyServer<Mine>(
    async (head, value, client) => spread(await balancer.lookup(head, value, client)),
    balancer.errback,
    {
      modify: (head, given, request) => {
        expectType<string | undefined>()(given.mine, true)
        head.headers['X-Mine'] = given.mine
        head.headers['X-Asked'] = request.target
      },
    },
  ),
  createStickyServer<Mine>(
    async (head, value, client) => spread(await balancer.lookup(head, value, client)),
    undefined,
    {
      modify: (_head, given) => expectType<string>()(given.mine, true),
    },
  ),
]

const {
  lookup: route,
  modify,
  errback,
} = createRouter({
  pools: { app: balancer, other: { lookup: async () => dest } },
  routes: [{ pool: 'app' }, { path: '/old', redirect: { to: '/new', status: 302 } }],
})
export const routed = createServer({ requests: 'every', lookup: route, modify, errback })
// @ts-expect-error: a pool has a lookup
createRouter({ pools: { app: {} }, routes: [] })

const take = handler(lookup)
expectType<(socket: Duplex) => void>()(take, true)
net.createServer(take)
tls.createServer({}, take)
take(new Readable() as Duplex)

export const parsed = [parseHead(Buffer.alloc(0), 'request').clone(), another]
