import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createStickyServer, type Dest, type Head, type StickyDest } from '../../src/index.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { ask, GET, startProxy } from '../helpers/proxy.ts'

test('errback gets the request head with lookup`s edits', async () => {
  const seen: string[] = []
  const { port } = await startProxy({
    lookup: (head): Dest | undefined => void head.set('X-Lookup', '1'),
    errback: (_error, _dest, head) => {
      seen.push(head.method!, head.get('x-lookup')!)
      return Readable.from(['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'])
    },
  })
  expect(await ask(port, GET.replace('GET', 'HEAD'))).toMatch(/^HTTP\/1\.1 503 /)
  expect(seen).toEqual(['HEAD', '1'])
})

test('errback`s edits of the head go to the Dest that it returns, and to the next errback', async () => {
  const backend = await Backend.start()
  const dead = await deadPort()
  const heads: Head[] = []
  let attempts = 0
  const { port } = await startProxy({
    lookup: () => ({ port: dead, host: '127.0.0.1' }),
    errback: (_error, _dest, head) => {
      heads.push(head)
      head.append('X-Attempt', String(++attempts))
      return { port: attempts < 2 ? dead : backend.port, host: '127.0.0.1' }
    },
  })
  const client = await connect(port)
  client.write(`${GET}body`)
  const peer = await backend.next()
  expect(await peer.until('body')).toBe(`${GET.slice(0, -2)}X-Attempt: 1\r\nX-Attempt: 2\r\n\r\nbody`)
  expect(heads[0]).toBe(heads[1])
})

test("a sticky server's errback gets the head too", async () => {
  const targets: (string | undefined)[] = []
  const server = createStickyServer<StickyDest>(
    () => undefined,
    (_error, _dest, head) => void targets.push(head.target),
  )
  const client = await connect(await listen(server))
  client.write(GET)
  await client.closed()
  expect(targets).toEqual(['/'])
})
