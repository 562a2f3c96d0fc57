import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Dest, handler, type ProxyOptions } from '../../../src/index.ts'
import { Flood, lengthOf, stable } from '../../helpers/flood.ts'
import { listen } from '../../helpers/net.ts'
import { duplexPair } from '../../helpers/pair.ts'
import { expectNoWarnings, GET, startProxy, Watch } from '../../helpers/proxy.ts'
import { turn, turns } from '../../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
/** More bytes than the kernel buffers on both connections for a peer that does not read. */
const SIZE = 1 << 27
const INTERIM = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(8000)}\r\n\r\n`
/** Maximum size of one read in Node. */
const READ = 1 << 16

/**
 * A proxy between raw sockets that nobody reads yet. `client` and `backend` are the far ends, `accepted` and `upstream`
 * the proxy's sockets.
 */
async function arrange(options: Partial<ProxyOptions> & { dest?: (connect: () => net.Socket) => Promise<Dest> }) {
  const { dest, ...limits } = options
  const watch = new Watch()
  const sockets: { accepted?: net.Socket; upstream?: net.Socket; backend?: net.Socket } = {}
  const keep = (socket: net.Socket) => {
    onTestFinished(() => void socket.destroy())
    return socket.on('error', () => undefined)
  }
  const backendServer = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.backend = keep(socket)
  })
  const backendPort = await listen(backendServer)
  const open = () => {
    sockets.upstream = net.connect({ port: backendPort, host, allowHalfOpen: true })
    return sockets.upstream
  }
  const proxied = handler<Dest>({ lookup: () => (dest ? dest(open) : { connect: open }), ...limits })
  const front = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.accepted = socket
    proxied(socket)
  })
  const client = keep(net.connect({ port: await listen(front), host, allowHalfOpen: true }))
  client.pause()
  const held = () => {
    const { accepted, upstream } = sockets
    return [accepted, upstream].flatMap((one) => (one ? [one.readableLength, one.writableLength] : [0, 0]))
  }
  return { watch, client, sockets, held }
}

/** No buffer of the proxy holds more than its high-water mark and the reads in progress. */
function expectBounded(held: number[]): void {
  for (const length of held) expect(length).toBeLessThanOrEqual(3 * READ)
}

describe('a peer that does not read stops the sender', () => {
  for (const [name, options] of [
    ['in the tunnel', {}],
    ['while the response is awaited', { modify: () => undefined }],
  ] as const) {
    test(`the client stops a backend, ${name}`, async () => {
      const { watch, client, sockets, held } = await arrange(options)
      client.write(GET)
      await watch.until('connected')
      const flood = new Flood(client, SIZE)
      const sent = await stable(() => flood.sent)
      expect(sent).toBeLessThan(SIZE)
      expectBounded(held())
      // No byte is lost.
      expect(await lengthOf(sockets.backend!)).toBe(GET.length + SIZE)
    })
  }

  test('the backend stops a client in the tunnel', async () => {
    const { watch, client, sockets, held } = await arrange({})
    client.write(GET)
    await watch.until('connected')
    while (!sockets.backend) await turn()
    const flood = new Flood(sockets.backend, SIZE)
    const sent = await stable(() => flood.sent)
    expect(sent).toBeLessThan(SIZE)
    expectBounded(held())
    expect(await lengthOf(client)).toBe(SIZE)
  })

  test('both sides stop each other', async () => {
    const { watch, client, sockets, held } = await arrange({})
    client.write(GET)
    await watch.until('connected')
    while (!sockets.backend) await turn()
    const floods = [new Flood(client, SIZE), new Flood(sockets.backend, SIZE)]
    for (const flood of floods) expect(await stable(() => flood.sent)).toBeLessThan(SIZE)
    expectBounded(held())
    const lengths = await Promise.all([lengthOf(client), lengthOf(sockets.backend)])
    expect(lengths).toEqual([SIZE, GET.length + SIZE])
  })

  test('the client stops a backend that sends interim responses', async () => {
    const { watch, client, sockets, held } = await arrange({ modify: () => undefined })
    client.write(GET)
    await watch.until('connected')
    while (!sockets.backend) await turn()
    const count = SIZE / READ
    let sent = 0
    const send = () => {
      if (sent++ === count) sockets.backend!.end('HTTP/1.1 200 OK\r\n\r\nbody')
      else sockets.backend!.write(INTERIM.repeat(8), (error) => error || send())
    }
    send()
    expect(await stable(() => sent)).toBeLessThan(count)
    expectBounded(held())
    expect(await lengthOf(client)).toBe(count * 8 * INTERIM.length + 'HTTP/1.1 200 OK\r\n\r\nbody'.length)
  })
})

test('sends a client that resumes during modify everything that arrived meanwhile', async () => {
  let go: () => void = () => undefined
  const modify = () => new Promise<void>((resolve) => (go = resolve))
  const [near, far] = duplexPair()
  const { watch, client, sockets } = await arrange({ modify, dest: async () => ({ connect: () => near }) })
  client.write(GET)
  const { connection } = await watch.until('connected')
  const many = INTERIM.repeat(2000)
  // In one write, so that the client lags in each head of it.
  near.push(`${many}HTTP/1.1 200 OK\r\n\r\nfirst`)
  while (connection.state !== 'Modifying') await turn()
  expect(sockets.accepted!.writableNeedDrain).toBe(true)
  const drained = once(sockets.accepted!, 'drain')
  let length = 0
  const ended = new Promise((resolve) => client.on('end', resolve))
  client.on('data', (chunk) => (length += chunk.length)).resume()
  await drained
  far.end('second')
  await turns(5)
  go()
  await ended
  expect(length).toBe(many.length + 'HTTP/1.1 200 OK\r\n\r\nfirstsecond'.length)
})

describe('a client that sends while it waits is paused', () => {
  test('during lookup', async () => {
    let go: () => void = () => undefined
    const thought = new Promise<void>((resolve) => (go = resolve))
    const { client, sockets, held } = await arrange({ dest: (connect) => thought.then(() => ({ connect })) })
    client.write(GET)
    const flood = new Flood(client, SIZE)
    expect(await stable(() => flood.sent)).toBeLessThan(SIZE)
    expectBounded(held())
    expect(sockets.accepted!.bytesRead).toBeLessThanOrEqual(3 * READ)
    go()
    while (!sockets.backend) await turn()
    expect(await lengthOf(sockets.backend)).toBe(GET.length + SIZE)
  })

  test('while the proxy connects to the backend', async () => {
    let upstream: net.Socket | undefined
    let found: () => void = () => undefined
    const backend = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    const backendPort = await listen(backend)
    const accepted = new Promise<net.Socket>((resolve) => backend.once('connection', resolve))
    const { client, sockets, held } = await arrange({
      dest: async () => ({
        connect() {
          const lookup: net.LookupFunction = (_name, _options, done) => {
            found = () => done(null, [{ address: host, family: 4 }])
          }
          upstream = net.connect({ port: backendPort, host: 'found.test', lookup, allowHalfOpen: true })
          return upstream
        },
      }),
    })
    client.write(GET)
    const flood = new Flood(client, SIZE)
    expect(await stable(() => flood.sent)).toBeLessThan(SIZE)
    expect(upstream?.connecting).toBe(true)
    expectBounded(held())
    expect(sockets.accepted!.bytesRead).toBeLessThanOrEqual(3 * READ)
    found()
    expect(await lengthOf(await accepted)).toBe(GET.length + SIZE)
  })
})

test('pauses a backend that sends during modify', async () => {
  let go: () => void = () => undefined
  const { watch, client, sockets, held } = await arrange({
    modify: () => new Promise<void>((resolve) => (go = resolve)),
  })
  client.write(GET)
  const { connection } = await watch.until('connected')
  while (!sockets.backend) await turn()
  const head = 'HTTP/1.1 200 OK\r\n\r\n'
  sockets.backend.write(head)
  const flood = new Flood(sockets.backend, SIZE)
  expect(await stable(() => flood.sent)).toBeLessThan(SIZE)
  expect(connection.state).toBe('Modifying')
  expectBounded(held())
  go()
  expect(await lengthOf(client)).toBe(head.length + SIZE)
})

test('reads and drops what a client sends during an answer of the engine', async () => {
  const { port } = await startProxy(() => undefined)
  const client = net.connect({ port, host, allowHalfOpen: true })
  onTestFinished(() => void client.destroy())
  client.write(GET)
  new Flood(client, SIZE)
  let text = ''
  for await (const chunk of client.setEncoding('latin1')) text += chunk
  expect(text).toMatch(/^HTTP\/1\.1 503 /)
})
