import { createReadStream } from 'node:fs'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Connection, createBalancer, type Dest, handler, ProxyError } from '../../src/index.ts'
import { warnOfMistake } from '../../src/proxy/warn.ts'
import { connect, deadPort, listen } from '../helpers/net.ts'
import { ask, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { turns } from '../helpers/turns.ts'

const host = '127.0.0.1'

interface Warning extends Error {
  detail?: string
}
let warnings: Warning[] = []
const warned = (warning: Warning) => void warnings.push(warning)
beforeEach(() => {
  warnings = []
  process.on('warning', warned)
})
afterEach(() => void process.off('warning', warned))

describe("'proxyError' of a server", () => {
  test('has the error and the connection, and replaces the warning', async () => {
    const cause = new Error('no')
    const { server, port } = await startProxy(() => {
      throw cause
    })
    const heard: [ProxyError, Connection][] = []
    server.on('proxyError', (error, connection) => void heard.push([error, connection]))
    const watch = new Watch()
    await ask(port)
    await ask(port, 'bad\r\n\r\n')
    const [first, second] = watch.all('open')
    expect(heard.map(([{ code }, connection]) => [code, connection])).toEqual([
      ['LOOKUP_FAILED', first!.connection],
      ['BAD_HEAD', second!.connection],
    ])
    expect(heard[0]![0].cause).toBe(cause)
    await turns(2)
    expect(warnings).toEqual([])
  })

  test('may destroy its connection', async () => {
    const { server, port } = await startProxy(() => undefined)
    server.once('proxyError', (_error, connection) => connection.destroy())
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    expect(server.active.size).toBe(0)
  })

  test('turns an exception of its listener into an uncaught exception, and the client still gets its answer', async () => {
    const { server, port } = await startProxy(() => undefined)
    const thrown = new Error('of a listener')
    const listeners = process.rawListeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener as NodeJS.UncaughtExceptionListener)
    })
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    server.on('proxyError', () => {
      throw thrown
    })
    expect(await ask(port)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await uncaught).toBe(thrown)
  })
})

describe('without a listener', () => {
  function boom(value: string): never {
    throw new Error(value)
  }
  type Options = Parameters<typeof startProxy<Dest>>[0]
  const MISTAKES: [name: string, options: (name: string, port: number) => Options, text: RegExp, at: string][] = [
    ['a lookup that throws', (name) => () => boom(name), /^LOOKUP_FAILED: .*: a lookup that throws$/, 'boom'],
    ['a lookup that rejects', (name) => async () => boom(name), /^LOOKUP_FAILED: .*: a lookup that rejects$/, 'boom'],
    [
      'a lookup that throws text',
      (name) => () => {
        throw name
      },
      /^LOOKUP_FAILED: .*: 'a lookup that throws text'$/,
      '',
    ],
    [
      'a misspelt Dest',
      () => () => ({ prot: 80, host: 'secret' }) as never,
      /^NO_DESTINATION: .*: lookup returned an object with 'prot', 'host'; expected a Dest with port .*, or nothing$/,
      '',
    ],
    [
      'a modify that throws',
      (name, port) => ({ lookup: () => ({ port, host }), modify: () => boom(name) }),
      /^MODIFY_FAILED: .*: a modify that throws$/,
      'boom',
    ],
    [
      'an errback that throws',
      (name) => ({ lookup: () => undefined, errback: () => boom(name) }),
      /^ERRBACK_FAILED: .*: an errback that throws$/,
      'boom',
    ],
    [
      'an errback that returns junk',
      () => ({ lookup: () => undefined, errback: () => 'junk' as never }),
      /^ERRBACK_FAILED: .*: errback returned 'junk'; expected a Dest .*, a Readable, or nothing$/,
      '',
    ],
    [
      'an errback whose Readable breaks',
      () => ({ lookup: () => undefined, errback: () => createReadStream('/no/such/file') }),
      /^REPLY_FAILED: .*: ENOENT/,
      '',
    ],
    [
      'a Dest whose connect() is wrong',
      () => () => ({ connect: () => 'socket' as never }),
      /^CONNECT_FAILED: .*: dest.connect returned 'socket'; expected a Duplex$/,
      '',
    ],
    [
      'a Dest with the path of a certificate for its text',
      (_, port) => () => ({ port, host, tls: { cert: '/etc/ssl/cert.pem' } }),
      /^CONNECT_FAILED: .*: no start line \(ERR_OSSL_PEM_NO_START_LINE\)$/,
      '',
    ],
    [
      'a Dest with a wrong sendProxy',
      () => () => ({ port: 1, host, sendProxy: 3 as never }),
      /^LOOKUP_FAILED: .*: dest.sendProxy: expected 1 or 2, got 3$/,
      '',
    ],
  ]
  for (const [name, options, text, at] of MISTAKES) {
    test(`prints ${name} once, with its stack`, async () => {
      const backend = await listen(net.createServer((socket) => void socket.on('error', () => undefined).end(OK)))
      const { port } = await startProxy<Dest>(options(name, backend))
      for (let i = 0; i < 3; i++) await ask(port).catch(() => undefined)
      await turns(2)
      expect(warnings).toEqual([
        expect.objectContaining({ name: 'BadassWarning', message: expect.stringMatching(text) }),
      ])
      expect(warnings[0]!.detail).toContain(at)
      if (at) expect(warnings[0]!.detail).toContain('proxy-error.test.ts')
    })
  }

  test('prints a mistake once even if V8 names its functions in another way', async () => {
    for (const name of ['new Attempt', 'Attempt', 'async Attempt.run']) {
      const cause = Object.assign(new TypeError('renamed'), {
        stack: `TypeError: renamed\n    at ${name} (file:///a.js:1:2)\n`,
      })
      warnOfMistake(new ProxyError('CONNECT_FAILED', 'connect', cause))
    }
    await turns(2)
    expect(warnings).toMatchObject([{ message: expect.stringContaining('renamed') }])
  })

  test('prints a mistake in a hook of handler()', async () => {
    const port = await listen(net.createServer(handler(() => boom('in a handler'))))
    await ask(port)
    await turns(2)
    expect(warnings).toMatchObject([{ message: expect.stringContaining('in a handler') }])
  })

  test('prints it even with a balancer', async () => {
    const balancer = createBalancer()
    onTestFinished(() => balancer.close())
    const { port } = await startProxy(() => boom('beside a balancer'))
    await ask(port)
    await turns(2)
    expect(warnings).toMatchObject([{ message: expect.stringContaining('beside a balancer') }])
  })

  test('prints no errors that are not mistakes', async () => {
    const dead = await deadPort()
    const { port } = await startProxy((head) => (head.target === '/' ? undefined : { port: dead, host }))
    await ask(port)
    await ask(port, 'GET /dead HTTP/1.1\r\nHost: a\r\n\r\n')
    await ask(port, 'bad\r\n\r\n')
    const client = await connect(port)
    client.write(GET)
    client.reset()
    await turns(5)
    expect(warnings).toEqual([])
  })

  test('prints at most 100 different mistakes', async () => {
    let count = 0
    const { port } = await startProxy(() => {
      throw `number ${count++}`
    })
    for (let i = 0; i < 110; i++) await ask(port)
    await turns(2)
    expect(warnings.length).toBeGreaterThan(50)
    expect(warnings.length).toBeLessThanOrEqual(100)
    expect(warnings.at(-1)!.detail).toContain("listen to 'proxyError'")
  })
})
