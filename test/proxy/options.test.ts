import net from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { createServer, handler, ProxyServer } from '../../src/index.ts'
import { checkOptions } from '../../src/proxy/options.ts'
import { Backend, connect } from '../helpers/net.ts'
import { GET, startProxy, Watch } from '../helpers/proxy.ts'

const lookup = () => undefined

const MS = 'milliseconds (an integer from 0 to 2147483647; 0 for none)'
const NETWORKS = "a list of one or more, each an address, a network as in '10.0.0.0/8', or 'unix'"
const NAMES =
  'lookup, modify, errback, maxHeadBytes, maxFields, requests, http2, headTimeout, keepAliveTimeout, bodyTimeout, pool, responseHeadTimeout, connectTimeout, ' +
  'idleTimeout, halfCloseTimeout, lenientResponses, noDelay, keepAlive, keepAliveInitialDelay, proxyProtocol'

const BAD: [options: unknown, message: string][] = [
  [undefined, 'options: expected a lookup function or an object, got undefined'],
  [null, 'options: expected a lookup function or an object, got null'],
  [8080, 'options: expected a lookup function or an object, got 8080'],
  ['lookup', "options: expected a lookup function or an object, got 'lookup'"],
  [{}, 'lookup: expected a function, got undefined'],
  [[], 'lookup: expected a function, got undefined'],
  [{ lookup: null }, 'lookup: expected a function, got null'],
  [{ lookup: { port: 80 } }, 'lookup: expected a function, got { port: 80 }'],
  [{ lookup, modify: 'x' }, "modify: expected a function, got 'x'"],
  [{ lookup, modify: false }, 'modify: expected a function, got false'],
  [{ lookup, errback: {} }, 'errback: expected a function, got {}'],
  [{ lookup, maxHeadBytes: 0 }, 'maxHeadBytes: expected an integer from 1 to 1073741824, got 0'],
  [{ lookup, maxHeadBytes: 2 ** 30 + 1 }, 'maxHeadBytes: expected an integer from 1 to 1073741824, got 1073741825'],
  [{ lookup, maxHeadBytes: '16k' }, "maxHeadBytes: expected an integer from 1 to 1073741824, got '16k'"],
  [{ lookup, http2: true }, "http2: expected 'pass', 'refuse' or 'alpn', got true"],
  [{ lookup, maxFields: 0 }, 'maxFields: expected an integer from 1 to 1048576, got 0'],
  [{ lookup, maxFields: Number.POSITIVE_INFINITY }, 'maxFields: expected an integer from 1 to 1048576, got Infinity'],
  [{ lookup, headTimeout: -1 }, `headTimeout: expected ${MS}, got -1`],
  [{ lookup, headTimeout: 2 ** 31 }, `headTimeout: expected ${MS}, got 2147483648`],
  [{ lookup, responseHeadTimeout: 0.5 }, `responseHeadTimeout: expected ${MS}, got 0.5`],
  [{ lookup, connectTimeout: Number.NaN }, `connectTimeout: expected ${MS}, got NaN`],
  [{ lookup, idleTimeout: 10n }, `idleTimeout: expected ${MS}, got 10n`],
  [{ lookup, halfCloseTimeout: null }, `halfCloseTimeout: expected ${MS}, got null`],
  [{ lookup, keepAliveInitialDelay: '1' }, `keepAliveInitialDelay: expected ${MS}, got '1'`],
  [{ lookup, proxyProtocol: '10.0.0.1' }, `proxyProtocol: expected ${NETWORKS}, got '10.0.0.1'`],
  [{ lookup, proxyProtocol: [] }, `proxyProtocol: expected ${NETWORKS}, got []`],
  [
    { lookup, proxyProtocol: ['unix', '10.0.0.0/33'] },
    `proxyProtocol: expected ${NETWORKS}, got [ 'unix', '10.0.0.0/33' ]`,
  ],
  [{ lookup, proxyProtocol: [undefined] }, `proxyProtocol: expected ${NETWORKS}, got [ undefined ]`],
  [{ lookup, proxyProtocol: true }, `proxyProtocol: expected ${NETWORKS}, got true`],
  [{ lookup, noDelay: 1 }, 'noDelay: expected true or false, got 1'],
  [{ lookup, lenientResponses: 'yes' }, "lenientResponses: expected true or false, got 'yes'"],
  [{ lookup, keepAlive: 'yes' }, "keepAlive: expected true or false, got 'yes'"],
  [{ lookup, headTimeOut: 5 }, 'headTimeOut: unknown option (did you mean headTimeout?)'],
  [{ lookup, timeout: undefined }, `timeout: unknown option (expected one of ${NAMES})`],
]

describe('options', () => {
  for (const [options, message] of BAD) {
    test(`throws '${message}'`, () => {
      const wrong = new TypeError(message)
      expect(() => createServer(options as never)).toThrow(wrong)
      expect(() => handler(options as never)).toThrow(wrong)
      expect(() => new ProxyServer(options as never)).toThrow(wrong)
    })
  }

  test('checks positional hooks like named ones', () => {
    expect(() => createServer(lookup, 'x' as never)).toThrow(new TypeError("modify: expected a function, got 'x'"))
    expect(() => handler(lookup, undefined, 7 as never)).toThrow(new TypeError('errback: expected a function, got 7'))
    expect(createServer(lookup, null as never, undefined)).toBeInstanceOf(net.Server)
  })

  test('have defaults, also for undefined', () => {
    expect(checkOptions({ lookup, idleTimeout: undefined as never })).toEqual({
      lookup,
      modify: undefined,
      errback: undefined,
      maxHeadBytes: 32_768,
      maxFields: 1000,
      requests: 'first',
      http2: 'pass',
      headTimeout: 30_000,
      keepAliveTimeout: 75_000,
      bodyTimeout: 60_000,
      pool: {
        idleLifetime: 4_000,
        maxLifetime: 3_600_000,
        maxRequests: Number.MAX_SAFE_INTEGER,
        maxIdle: 256,
        maxIdleTotal: 2_048,
      },
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

  test("have other defaults with requests: 'every'", () => {
    const defaults = { http2: 'refuse', responseHeadTimeout: 60_000 }
    expect(checkOptions({ lookup, requests: 'every' })).toMatchObject(defaults)
    const own = { http2: 'pass', responseHeadTimeout: 0 } as const
    expect(checkOptions({ lookup, requests: 'every', ...own })).toMatchObject(own)
  })

  test('accept their bounds', () => {
    const bounds = { maxHeadBytes: 1, maxFields: 2 ** 20, headTimeout: 2 ** 31 - 1, idleTimeout: 0, noDelay: false }
    expect(checkOptions({ lookup, ...bounds })).toMatchObject(bounds)
  })

  test('are copied', async () => {
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
  /** Returns the socket options of a connection that lasts. */
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
        // The backend's socket gets it as a constructor option, which Node stores privately.
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

  test('are no-delay and (for lasting connections) keep-alive on both sides by default', async () => {
    expect(await spied({})).toEqual({
      noDelay: [[true], [true]],
      keepAlive: [
        [true, 60_000],
        [true, 60_000],
      ],
      isOnBoth: true,
    })
  })

  test('can be changed', async () => {
    expect(await spied({ noDelay: false, keepAlive: false })).toMatchObject({ noDelay: [[false]], keepAlive: [] })
    const { keepAlive } = await spied({ keepAliveInitialDelay: 7 })
    expect(keepAlive).toEqual([
      [true, 7],
      [true, 7],
    ])
  })
})
