import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Dest, ProxyErrorCode, ProxyOptions } from '../../../src/index.ts'
import { blackHole } from '../../helpers/black-hole.ts'
import { noise } from '../../helpers/bytes.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../../helpers/net.ts'
import { answer, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../../helpers/proxy.ts'
import { turns } from '../../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20
const HEAD = 'HTTP/1.1 200 OK\r\n\r\n'

const MODES: [mode: string, options: Partial<ProxyOptions>][] = [
  ['without modify', {}],
  ['with modify', { modify: () => undefined }],
]

describe.each(MODES)('%s, a backend that', (_, options) => {
  /** Checks the answer for an unreachable backend, without errback and with another Dest from errback. */
  async function expectUnreachable(port: number, code: ProxyErrorCode, status: string): Promise<void> {
    const good = await Backend.start()
    const limits = { ...options, connectTimeout: 250 }
    const watch = new Watch()
    const errors: string[] = []
    const alone = await startProxy<Dest>({ ...limits, lookup: () => ({ port, host }) })
    const helped = await startProxy<Dest>({
      ...limits,
      lookup: () => ({ port, host }),
      errback: (error, dest) => {
        errors.push(`${error.code} ${(dest as { port: number }).port}`)
        return { port: good.port, host }
      },
    })
    const client = await connect(alone.port)
    client.end(GET)
    expect(withoutDate(await client.ended())).toBe(answer(status, code))
    const lucky = await connect(helped.port)
    lucky.end(GET)
    const peer = await good.next()
    expect(await peer.ended()).toBe(GET)
    peer.end(OK)
    expect(await lucky.ended()).toBe(OK)
    await watch.until('close', 2)
    expect(errors).toEqual([`${code} ${port}`])
    expect(watch.codes).toEqual([code, code])
    expect(alone.server.counters).toMatchObject({ open: 0, connectFailures: 1, connected: 0 })
    expect(helped.server.counters).toMatchObject({ open: 0, connectFailures: 1, connected: 1 })
  }

  test('refuses causes a 502, or the next Dest', async () => {
    await expectUnreachable(await deadPort(), 'CONNECT_FAILED', '502 Bad Gateway')
  })

  test.skipIf(process.platform !== 'linux')('does not answer a connect causes a 504, or the next Dest', async () => {
    await expectUnreachable(await blackHole(), 'CONNECT_TIMEOUT', '504 Gateway Timeout')
  })

  /** A client whose whole request has reached the backend. */
  async function meet(limits: Partial<ProxyOptions> = {}, request = GET) {
    const watch = new Watch()
    const backend = await Backend.start()
    const { port } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), ...options, ...limits })
    const client = await connect(port)
    client.write(request)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    return { watch, client, peer }
  }

  async function expectClosed(watch: Watch, codes: ProxyErrorCode[]): Promise<void> {
    await watch.until('close')
    await turns(3)
    expect(watch.all('close')).toHaveLength(1)
    expect(watch.codes).toEqual(codes)
  }

  test('accepts and stays silent causes a 504 after responseHeadTimeout', async () => {
    const { watch, client, peer } = await meet({ responseHeadTimeout: 50 })
    expect(withoutDate(await client.ended())).toBe(answer('504 Gateway Timeout', 'RESPONSE_HEAD_TIMEOUT'))
    client.end()
    await peer.closed()
    expect(peer.error?.code).toBe('ECONNRESET')
    await expectClosed(watch, ['RESPONSE_HEAD_TIMEOUT'])
  })

  test('accepts and stays silent lets the client leave at any time, without a time-out', async () => {
    const { watch, client, peer } = await meet()
    client.reset()
    await peer.closed()
    await expectClosed(watch, ['CLIENT_RESET'])
  })

  const PART = `HTTP/1.1 200 OK\r\nContent-Length: ${2 * MIB}\r\n\r\n${'x'.repeat(MIB)}`

  test('ends in the middle of a body passes that much and the end to the client', async () => {
    const { watch, client, peer } = await meet()
    peer.end(PART)
    expect((await client.ended()) === PART).toBe(true)
    client.end()
    await expectClosed(watch, [])
    expect(client.error).toBeUndefined()
  })

  test('is reset in the middle of a body resets the client', async () => {
    const { watch, client, peer } = await meet()
    peer.write(PART)
    await client.untilLength(PART.length)
    peer.reset()
    await client.closed()
    expect([client.hasEnded, client.error?.code]).toEqual([false, 'ECONNRESET'])
    expect(client.text === PART).toBe(true)
    await expectClosed(watch, ['BACKEND_RESET'])
  })

  const isModified = options.modify !== undefined
  // Without modify the head is not read.
  const BAD: [name: string, bytes: string, code: string][] = [
    ['garbage', noise(4096, 5).toString('latin1'), 'BAD_VERSION'],
    ['a head over the limit', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(MIB)}\r\n\r\nbody`, 'HEAD_TOO_LARGE'],
    ['more fields than the limit', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(1_001)}\r\nbody`, 'TOO_MANY_FIELDS'],
  ]
  test.each(BAD)(
    `answers %s ${isModified ? 'causes a 502' : 'passes that to the client'}`,
    async (_name, bytes, code) => {
      const { watch, client, peer } = await meet()
      peer.end(bytes)
      client.end()
      const text = await client.ended()
      if (!isModified) expect(text === bytes).toBe(true)
      else expect(withoutDate(text)).toBe(answer('502 Bad Gateway', code))
      await expectClosed(watch, isModified ? ['BAD_RESPONSE_HEAD'] : [])
    },
  )

  test('answers before it reads still gets the whole upload, and the client gets the answer at once', async () => {
    const watch = new Watch()
    const body = noise(32 * MIB, 3)
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    const backend = { port: await listen(server), host }
    const { port } = await startProxy<Dest>({ lookup: () => backend, ...options })
    const client = await connect(port)
    client.write(GET)
    client.socket.end(body)
    const [peer] = (await once(server, 'connection')) as [net.Socket]
    peer.write(`${HEAD}early`)
    expect(await client.until('early')).toBe(`${HEAD}early`)
    expect(client.socket.writableFinished).toBe(false)
    const pieces: Buffer[] = []
    peer.on('data', (chunk: Buffer) => pieces.push(chunk)).resume()
    await once(peer, 'end')
    expect(Buffer.concat(pieces).equals(Buffer.concat([Buffer.from(GET), body]))).toBe(true)
    peer.end(' and late')
    expect(await client.ended()).toBe(`${HEAD}early and late`)
    await expectClosed(watch, [])
  })

  const WAYS: [name: string, way: (end: Peer) => void][] = [
    ['an end', (end) => end.end('bye')],
    ['a close', (end) => void end.socket.destroy()],
    ['a reset', (end) => end.reset()],
  ]
  const PAIRS = WAYS.flatMap(([one, client]) => WAYS.map(([other, backend]) => [one, other, client, backend] as const))
  test.each(PAIRS)(
    'closes at the same time as the client leaves nothing open: %s, %s',
    async (one, other, leave, close) => {
      for (let round = 0; round < 10; round++) {
        const { watch, client, peer } = await meet()
        peer.write(OK)
        await client.until('ok')
        const both = [() => leave(client), () => close(peer)]
        if (round % 2 === 0) both.reverse()
        for (const act of both) act()
        await watch.until('close')
        await Promise.all([client.closed(), peer.closed()])
        await turns(3)
        expect(watch.all('close')).toHaveLength(1)
        expect(watch.codes.length).toBeLessThanOrEqual(1)
        if (one !== 'an end' || other !== 'an end') continue
        expect(watch.codes).toEqual([])
        expect([client.text, peer.text]).toEqual([`${OK}bye`, `${GET}bye`])
      }
    },
  )
})
