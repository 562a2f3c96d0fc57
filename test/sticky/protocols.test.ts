import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Backend, connect, listen } from '../helpers/net.ts'
import { startSticky } from './support.ts'

const HOST = '127.0.0.1'

describe('WebSocket', () => {
  it('adds the cookie to the 101 beside the application`s cookie, and passes messages both ways', async () => {
    const server = http.createServer()
    const sockets = new WebSocketServer({ server })
    sockets.on('headers', (lines) => lines.push('Set-Cookie: sid=1; Path=/; HttpOnly'))
    sockets.on('connection', (socket, request) => {
      socket.send(`cookies: ${request.headers.cookie}`)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    const backendPort = await listen(server)
    const port = await startSticky((_, sticky) => ({ port: backendPort, host: HOST, sticky: sticky ?? 'home' }), {
      cookie: { secret: 'key', indirect: true },
    })

    async function talk(cookie: string): Promise<{ setCookies: string[] | undefined; heard: string[] }> {
      const client = new WebSocket(`ws://${HOST}:${port}/`, { headers: { cookie } })
      onTestFinished(() => client.terminate())
      const heard: string[] = []
      const echoed = new Promise<void>((resolve) => {
        client.on('message', (data) => heard.push(String(data)) === 2 && resolve())
      })
      client.on('open', () => client.send('hello'))
      const [response] = (await once(client, 'upgrade')) as [http.IncomingMessage]
      await echoed
      client.close(1000)
      const [code] = await once(client, 'close')
      expect(code).toBe(1000)
      return { setCookies: response.headers['set-cookie'], heard }
    }

    const first = await talk('x=1')
    expect(first).toEqual({
      setCookies: ['sid=1; Path=/; HttpOnly', expect.stringMatching(/^sticky=home\.[\w-]{43}; Path=\/; HttpOnly$/)],
      heard: ['cookies: x=1', 'hello'],
    })
    const [pair] = first.setCookies![1]!.split(';')
    expect(await talk(`x=1; ${pair}`)).toEqual(first)
  })
})

describe('HTTP/2 with prior knowledge', () => {
  it('passes unchanged, even bytes that look like a response head', async () => {
    const backend = await Backend.start()
    const values: (string | undefined)[] = []
    const port = await startSticky(
      (_, sticky) => {
        values.push(sticky)
        return { port: backend.port, host: HOST, sticky: 'home' }
      },
      { cookie: { insert: true, indirect: true, secret: 'key' } },
    )
    const client = await connect(port)
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'
    client.write(preface)
    const upstream = await backend.next()
    expect((await upstream.untilLength(preface.length)).toString('latin1')).toBe(preface)
    const answer = '\0\0\0\x04\0\0\0\0\0HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\n\r\n'
    upstream.end(answer)
    expect(await client.ended()).toBe(answer)
    expect(values).toEqual([undefined])
  })

  it('serves a client of node:http2 without touching its cookies', async () => {
    const server = http2.createServer((request, response) => {
      response.setHeader('set-cookie', 'sid=1; Path=/')
      response.end(`cookies: ${request.headers.cookie}`)
    })
    const backendPort = await listen(server as unknown as Parameters<typeof listen>[0])
    const port = await startSticky(() => ({ port: backendPort, host: HOST, sticky: 'home' }), {
      cookie: { insert: true, indirect: true },
    })
    const session = http2.connect(`http://${HOST}:${port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({ cookie: 'x=1; sticky=home' })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    expect(headers['set-cookie']).toEqual(['sid=1; Path=/'])
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('cookies: x=1; sticky=home')
  })
})
