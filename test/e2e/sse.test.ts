import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createServer, type Dest } from '../../src/index.ts'
import { keepAliveAgent, serve } from '../helpers/http.ts'
import { MARK, MODES } from '../helpers/modes.ts'
import { listen } from '../helpers/net.ts'
import { turn } from '../helpers/turns.ts'

describe.each(MODES)('server-sent events, $mode', (mode) => {
  test('passes each event as soon as it is sent', async () => {
    const backend = new EventBackend()
    const { port } = await serve(mode, backend.server)
    const source = new EventSource(port)
    const [response] = await once(source, 'open')
    expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream' })
    expect(response.headers[MARK]).toBe(mode.isMarked ? 'was here' : undefined)
    for (let id = 1; id <= 50; id++) {
      // The next event is sent only after the last one has arrived. A later event cannot hide a delay.
      const event = once(source, 'message')
      backend.send(id, `event ${id}`)
      expect(await event).toEqual([{ id: String(id), data: `event ${id}` }])
    }
  })

  test('passes one event of single-byte writes byte by byte', async () => {
    const backend = new EventBackend()
    const { port } = await serve(mode, backend.server)
    const source = new EventSource(port)
    await once(source, 'open')
    const text = 'id: 7\ndata: slow\n\n'
    for (const [i, byte] of [...text].entries()) {
      const chunk = once(source, 'chunk')
      backend.write(byte)
      expect([i, (await chunk)[0]]).toEqual([i, byte])
    }
    expect(source.events).toEqual([{ id: '7', data: 'slow' }])
  })

  test('tells the backend at once that a client is gone, and leaves nothing open', async () => {
    const backend = new EventBackend()
    const { proxy, port } = await serve(mode, backend.server)
    const source = new EventSource(port)
    await once(source, 'open')
    backend.send(1, 'one')
    await once(source, 'message')
    const gone = once(backend.server, 'gone')
    source.close()
    await gone
    while (proxy.active.size > 0) await turn()
    expect(backend.streams.size).toBe(0)
  })

  test('tells the backend at once that a client is gone before the first byte of the response', async () => {
    const server = http.createServer((request) => {
      request.on('close', () => server.emit('gone'))
      server.emit('came')
    })
    const { proxy, port } = await serve(mode, server)
    const [came, gone] = [once(server, 'came'), once(server, 'gone')]
    const source = new EventSource(port)
    await came
    source.close()
    await gone
    while (proxy.active.size > 0) await turn()
    expect(proxy.counters.open).toBe(0)
  })

  test('serves a client that reconnects with Last-Event-ID, and it misses no event', async () => {
    const backend = new EventBackend()
    const { proxy, port } = await serve(mode, backend.server)
    const source = new EventSource(port)
    await once(source, 'open')
    let sent = 0
    for (const breakOff of ['end', 'reset'] as const) {
      backend.send(++sent, 'before')
      await once(source, 'message')
      const reopened = once(source, 'open')
      backend.breakOff(breakOff)
      backend.send(++sent, 'while away')
      await reopened
      backend.send(++sent, 'after')
      while (source.events.length < sent) await once(source, 'message')
    }
    expect(source.events.map(({ id, data }) => `${id} ${data}`)).toEqual([
      '1 before',
      '2 while away',
      '3 after',
      '4 before',
      '5 while away',
      '6 after',
    ])
    expect(backend.lastEventIds).toEqual([undefined, '1', '4'])
    // A response that ends leaves its connection for the next request. A reset does not.
    expect(proxy.counters).toMatchObject({ accepted: 2, connected: mode.isEvery ? 3 : 2 })
  })

  test('delivers every event of 100 concurrent streams', async () => {
    const backend = new EventBackend()
    const { port } = await serve(mode, backend.server)
    const sources = Array.from({ length: 100 }, () => new EventSource(port))
    await Promise.all(sources.map((source) => once(source, 'open')))
    for (let id = 1; id <= 10; id++) backend.send(id, `event ${id}`)
    await Promise.all(
      sources.map(async (source) => {
        while (source.events.length < 10) await once(source, 'message')
        expect(source.events.map(({ id }) => Number(id))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      }),
    )
  })
})

test('lookup can send a stream that reconnects to another backend by its Last-Event-ID', async () => {
  const backends = [new EventBackend(), new EventBackend()] as const
  const ports = await Promise.all(backends.map(({ server }) => listen(server)))
  const proxy = createServer((head): Dest => ({ port: ports[head.has('last-event-id') ? 1 : 0]!, host: '127.0.0.1' }))
  const source = new EventSource(await listen(proxy))
  await once(source, 'open')
  backends[0].send(1, 'from the first')
  await once(source, 'message')
  backends[1].send(1, 'known')
  backends[1].send(2, 'from the second')
  backends[0].breakOff('reset')
  await once(source, 'message')
  expect(source.events.map(({ data }) => data)).toEqual(['from the first', 'from the second'])
})

/** A backend with one stream of events. It repeats the events after the client's Last-Event-ID. */
class EventBackend {
  readonly streams = new Set<http.ServerResponse>()
  readonly lastEventIds: unknown[] = []
  readonly #events: string[] = []
  /** Emits 'gone' when a stream closes. */
  readonly server = http.createServer((request, response) => {
    const last = request.headers['last-event-id']
    this.lastEventIds.push(last)
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    response.flushHeaders()
    if (last !== undefined) response.write(this.#events.slice(Number(last)).join(''))
    this.streams.add(response)
    response.on('close', () => {
      this.streams.delete(response)
      this.server.emit('gone')
    })
  })

  /** Ids start at 1. */
  send(id: number, data: string): void {
    const event = `id: ${id}\ndata: ${data}\n\n`
    this.#events.push(event)
    this.write(event)
  }

  write(text: string): void {
    for (const stream of this.streams) stream.write(text)
  }

  /** Breaks off every stream. */
  breakOff(how: 'end' | 'reset'): void {
    for (const stream of this.streams) {
      if (how === 'end') stream.end()
      else stream.socket?.resetAndDestroy()
    }
    this.streams.clear()
  }
}

interface Event {
  id: string
  data: string
}

/**
 * The parts of a browser's EventSource that matter here. It keeps one stream open, and reconnects with the last id
 * after the stream breaks off. Emits 'open' with the response, 'chunk' with its bytes, and 'message' with each event.
 */
class EventSource extends EventEmitter<{ open: [http.IncomingMessage]; chunk: [string]; message: [Event] }> {
  readonly events: Event[] = []
  readonly #port: number
  readonly #agent = keepAliveAgent(1)
  #request: http.ClientRequest | undefined

  constructor(port: number) {
    super()
    this.#port = port
    onTestFinished(() => this.close())
    this.#open()
  }

  close(): void {
    this.#request?.destroy()
    this.#request = undefined
  }

  #open(): void {
    const last = this.events.at(-1)?.id
    const headers = { Accept: 'text/event-stream', ...(last === undefined ? undefined : { 'Last-Event-ID': last }) }
    const request = http.get({ port: this.#port, host: '127.0.0.1', agent: this.#agent, headers })
    this.#request = request
    request.on('error', () => undefined)
    request.on('close', () => this.#request === request && this.#open())
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', () => undefined)
      response.on('data', (chunk: string) => {
        text += chunk
        this.emit('chunk', chunk)
        const events = text.split('\n\n')
        text = events.pop()!
        for (const event of events) this.#take(event)
      })
      this.emit('open', response)
    })
  }

  #take(text: string): void {
    const fields = new Map(text.split('\n').map((line) => line.split(': ', 2) as [string, string]))
    const event = { id: fields.get('id')!, data: fields.get('data')! }
    this.events.push(event)
    this.emit('message', event)
  }
}
