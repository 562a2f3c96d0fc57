import net from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { createServer, handler, ProxyServer } from '../../src/index.ts'
import { checkOptions } from '../../src/proxy/options.ts'
import { Backend, connect } from '../helpers/net.ts'
import { GET, startProxy, Watch } from '../helpers/proxy.ts'

const lookup = () => undefined

const MS = 'takes an integer from 0 to 2147483647 (ms; 0 for none)'
const NETWORKS = "takes a list of one or more, each an address, a network as in '10.0.0.0/8', or 'unix'"
const NAMES =
  'lookup, modify, errback, maxHeadBytes, maxFields, headTimeout, responseHeadTimeout, connectTimeout, idleTimeout, ' +
  'halfCloseTimeout, lenientResponses, noDelay, keepAlive, keepAliveInitialDelay, proxyProtocol'

const BAD: [options: unknown, message: string][] = [
  [undefined, 'options: got undefined; takes a lookup function or an object'],
  [null, 'options: got null; takes a lookup function or an object'],
  [8080, 'options: got 8080; takes a lookup function or an object'],
  ['lookup', "options: got 'lookup'; takes a lookup function or an object"],
  [{}, 'lookup: got undefined; takes a function'],
  [[], 'lookup: got undefined; takes a function'],
  [{ lookup: null }, 'lookup: got null; takes a function'],
  [{ lookup: { port: 80 } }, 'lookup: got { port: 80 }; takes a function'],
  [{ lookup, modify: 'x' }, "modify: got 'x'; takes a function"],
  [{ lookup, modify: false }, 'modify: got false; takes a function'],
  [{ lookup, errback: {} }, 'errback: got {}; takes a function'],
  [{ lookup, maxHeadBytes: 0 }, 'maxHeadBytes: got 0; takes an integer from 1 to 1073741824 (bytes)'],
  [
    { lookup, maxHeadBytes: 2 ** 30 + 1 },
    'maxHeadBytes: got 1073741825; takes an integer from 1 to 1073741824 (bytes)',
  ],
  [{ lookup, maxHeadBytes: '16k' }, "maxHeadBytes: got '16k'; takes an integer from 1 to 1073741824 (bytes)"],
  [{ lookup, maxFields: 0 }, 'maxFields: got 0; takes an integer from 1 to 1048576'],
  [{ lookup, maxFields: Number.POSITIVE_INFINITY }, 'maxFields: got Infinity; takes an integer from 1 to 1048576'],
  [{ lookup, headTimeout: -1 }, `headTimeout: got -1; ${MS}`],
  [{ lookup, headTimeout: 2 ** 31 }, `headTimeout: got 2147483648; ${MS}`],
  [{ lookup, responseHeadTimeout: 0.5 }, `responseHeadTimeout: got 0.5; ${MS}`],
  [{ lookup, connectTimeout: Number.NaN }, `connectTimeout: got NaN; ${MS}`],
  [{ lookup, idleTimeout: 10n }, `idleTimeout: got 10n; ${MS}`],
  [{ lookup, halfCloseTimeout: null }, `halfCloseTimeout: got null; ${MS}`],
  [{ lookup, keepAliveInitialDelay: '1' }, `keepAliveInitialDelay: got '1'; ${MS}`],
  [{ lookup, proxyProtocol: '10.0.0.1' }, `proxyProtocol: got '10.0.0.1'; ${NETWORKS}`],
  [{ lookup, proxyProtocol: [] }, `proxyProtocol: got []; ${NETWORKS}`],
  [{ lookup, proxyProtocol: ['unix', '10.0.0.0/33'] }, `proxyProtocol: got [ 'unix', '10.0.0.0/33' ]; ${NETWORKS}`],
  [{ lookup, proxyProtocol: [undefined] }, `proxyProtocol: got [ undefined ]; ${NETWORKS}`],
  [{ lookup, proxyProtocol: true }, `proxyProtocol: got true; ${NETWORKS}`],
  [{ lookup, noDelay: 1 }, 'noDelay: got 1; takes true or false'],
  [{ lookup, lenientResponses: 'yes' }, "lenientResponses: got 'yes'; takes true or false"],
  [{ lookup, keepAlive: 'yes' }, "keepAlive: got 'yes'; takes true or false"],
  [{ lookup, headTimeOut: 5 }, `headTimeOut: is no option; takes ${NAMES}`],
  [{ lookup, timeout: undefined }, `timeout: is no option; takes ${NAMES}`],
]

describe('options', () => {
  for (const [options, message] of BAD) {
    test(`refuses with '${message}'`, () => {
      const wrong = new TypeError(message)
      expect(() => createServer(options as never)).toThrow(wrong)
      expect(() => handler(options as never)).toThrow(wrong)
      expect(() => new ProxyServer(options as never)).toThrow(wrong)
    })
  }

  test('hooks by position are checked like those by name', () => {
    expect(() => createServer(lookup, 'x' as never)).toThrow(new TypeError("modify: got 'x'; takes a function"))
    expect(() => handler(lookup, undefined, 7 as never)).toThrow(new TypeError('errback: got 7; takes a function'))
    expect(createServer(lookup, null as never, undefined)).toBeInstanceOf(net.Server)
  })

  test('have their defaults, also where undefined is given', () => {
    expect(checkOptions({ lookup, idleTimeout: undefined as never })).toEqual({
      lookup,
      modify: undefined,
      errback: undefined,
      maxHeadBytes: 16_384,
      maxFields: 128,
      headTimeout: 30_000,
      responseHeadTimeout: 0,
      connectTimeout: 10_000,
      idleTimeout: 0,
      halfCloseTimeout: 60_000,
      lenientResponses: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      proxyProtocol: undefined,
    })
  })

  test('take their bounds', () => {
    const bounds = { maxHeadBytes: 1, maxFields: 2 ** 20, headTimeout: 2 ** 31 - 1, idleTimeout: 0, noDelay: false }
    expect(checkOptions({ lookup, ...bounds })).toMatchObject(bounds)
  })

  test('that change later change nothing', async () => {
    const backend = await Backend.start()
    const options = { lookup: () => ({ port: backend.port, host: '127.0.0.1' }), headTimeout: 30_000 }
    const { port } = await startProxy(options)
    options.lookup = () => ({ port: 1, host: '127.0.0.1' })
    const client = await connect(port)
    client.write(GET)
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(GET)
  })
})

describe('the options of the sockets', () => {
  /** What a connection that lasts does to its two sockets. */
  async function spied(options: object) {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const noDelay = vi.spyOn(net.Socket.prototype, 'setNoDelay')
    const keepAlive = vi.spyOn(net.Socket.prototype, 'setKeepAlive')
    const connecting = vi.spyOn(net.Socket.prototype, 'connect')
    try {
      const watch = new Watch()
      const backend = await Backend.start()
      const { port } = await startProxy({ lookup: () => ({ port: backend.port, host: '127.0.0.1' }), ...options })
      const client = await connect(port)
      client.write(GET)
      await watch.until('connected')
      expect(keepAlive).not.toHaveBeenCalled()
      vi.advanceTimersByTime(5_000)
      const upstream = connecting.mock.contexts.at(-1)
      return {
        // Of the upstream socket it is an option that it is made with. Node has no way to ask for it, but keeps it.
        noDelay: [...noDelay.mock.calls, [symbolOf(upstream, 'kSetNoDelay')]],
        keepAlive: keepAlive.mock.calls,
        isOnBoth: keepAlive.mock.contexts.at(-1) === upstream,
      }
    } finally {
      vi.restoreAllMocks()
      vi.useRealTimers()
    }
  }

  function symbolOf(object: unknown, description: string): unknown {
    const symbol = Object.getOwnPropertySymbols(object).find((one) => one.description === description)
    return (object as Record<symbol, unknown>)[symbol!]
  }

  test('are no-delay and, once a connection lasts, keep-alive on both sides by default', async () => {
    expect(await spied({})).toEqual({
      noDelay: [[true], [true]],
      keepAlive: [
        [true, 60_000],
        [true, 60_000],
      ],
      isOnBoth: true,
    })
  })

  test('can be had otherwise', async () => {
    expect(await spied({ noDelay: false, keepAlive: false })).toMatchObject({ noDelay: [[false]], keepAlive: [] })
    const { keepAlive } = await spied({ keepAliveInitialDelay: 7 })
    expect(keepAlive).toEqual([
      [true, 7],
      [true, 7],
    ])
  })
})
