import { describe, expect, test } from 'vitest'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import { expectNoWarnings, OK, startProxy } from '../helpers/proxy.ts'
import { turn } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

describe('the request that modify gets', () => {
  const REQUEST = 'GET /old?x HTTP/1.1\r\nHost: a\r\nX-Odd:\t kept \r\nAuthorization: secret\r\n\r\n'

  for (const [name, wait] of [
    ['at once', () => undefined],
    ['later', turn],
  ] as const) {
    test(`is the received head, without lookup's edits: ${name}`, async () => {
      const backend = await Backend.start()
      const seen: string[] = []
      const { port } = await startProxy({
        lookup: async (head) => {
          await wait()
          head.first = 'GET /new HTTP/1.1'
          head.delete('authorization')
          return { port: backend.port, host }
        },
        modify: async (head, _dest, request) => {
          seen.push(request.bytes().toString('latin1'))
          request.headers.Host = 'nowhere'
          head.headers['X-Asked'] = request.target
        },
      })
      const client = await connect(port)
      client.end(REQUEST)
      const peer = await backend.next()
      expect(await peer.ended()).toBe('GET /new HTTP/1.1\r\nHost: a\r\nX-Odd:\t kept \r\n\r\n')
      peer.end(OK)
      expect(await client.ended()).toContain('X-Asked: /old?x\r\n')
      expect(seen).toEqual([REQUEST])
    })
  }

  test('is the received head after errback chose another Dest, without errback`s edits', async () => {
    const backend = await Backend.start()
    const dead = await deadPort()
    const seen: string[] = []
    const { port } = await startProxy({
      lookup: () => ({ port: dead, host }),
      errback: (_error, _dest, head) => {
        head.headers['X-Retry'] = '1'
        return { port: backend.port, host }
      },
      modify: (_head, _dest, request) => void seen.push(request.bytes().toString('latin1')),
    })
    const client = await connect(port)
    client.write(REQUEST)
    const peer = await backend.next()
    expect(await peer.until('\r\n\r\n')).toContain('X-Retry: 1')
    peer.end(OK)
    await client.ended()
    expect(seen).toEqual([REQUEST])
  })
})
