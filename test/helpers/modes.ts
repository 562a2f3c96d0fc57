import type net from 'node:net'
import {
  createServer,
  createStickyServer,
  type Dest,
  type Head,
  handler,
  type ProxyOptions,
  type ProxyServer,
} from '../../src/index.ts'
import { listen } from './net.ts'
import { turn } from './turns.ts'

/** The field that `modify` adds in the modes with `modify`. */
export const MARK = 'x-badass'

/** A way to set up the proxy. Apart from the mark, clients and backends that speak HTTP/1 cannot tell the modes apart. */
export interface Mode {
  mode: string
  /** Whether the first response of a connection carries the mark. */
  isMarked: boolean
  /** Whether the proxy reads each request, and marks each response. */
  isEvery: boolean
  create(dest: Dest): ProxyServer
  /** The same for a server other than badass's own. */
  listener(dest: Dest): (socket: net.Socket) => void
}

const mark = (head: Head) => {
  head.set(MARK, 'was here')
}

function withHooks(mode: string, hooks: (dest: Dest) => ProxyOptions): Mode {
  return {
    mode,
    isMarked: hooks({ port: 1 }).modify !== undefined,
    isEvery: hooks({ port: 1 }).requests === 'every',
    create: (dest) => createServer(hooks(dest)),
    listener: (dest) => handler(hooks(dest)),
  }
}

function createSticky(dest: Dest): ProxyServer {
  return createStickyServer(() => ({ ...dest, sticky: 'home' }), undefined, { cookie: { insert: true }, modify: mark })
}

export const MODES: readonly Mode[] = [
  withHooks('without modify', (dest) => ({ lookup: () => dest })),
  withHooks('with modify', (dest) => ({ lookup: () => dest, modify: mark })),
  withHooks('with asynchronous hooks', (dest) => ({
    lookup: async () => {
      await turn()
      return dest
    },
    modify: async (head) => {
      await turn()
      mark(head)
    },
  })),
  withHooks("requests: 'every'", (dest) => ({ lookup: () => dest, modify: mark, requests: 'every', http2: 'pass' })),
  {
    mode: 'sticky',
    isMarked: true,
    isEvery: false,
    create: createSticky,
    listener: (dest) => {
      const proxy = createSticky(dest)
      return (socket) => proxy.emit('connection', socket)
    },
  },
]

/** Starts a proxy to one destination. It closes after the test. */
export async function proxyTo(mode: Mode, dest: Dest): Promise<{ proxy: ProxyServer; port: number }> {
  const proxy = mode.create(dest)
  return { proxy, port: await listen(proxy) }
}
