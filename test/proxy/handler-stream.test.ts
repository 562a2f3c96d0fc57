import { expect, test } from 'vitest'
import { handler } from '../../src/index.ts'
import { Backend } from '../helpers/net.ts'
import { duplexPair } from '../helpers/pair.ts'
import { expectNoWarnings, GET, OK, Watch } from '../helpers/proxy.ts'

expectNoWarnings()

test('handler accepts a Duplex without addresses, setNoDelay and setKeepAlive', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const [near, far] = duplexPair()
  handler(() => ({ port: backend.port, host: '127.0.0.1' }))(near)
  far.end(GET)
  const peer = await backend.next()
  expect(await peer.ended()).toBe(GET)
  watch.all('open')[0]!.connection.keepAlive()
  peer.end(OK)
  far.setEncoding('latin1')
  let text = ''
  for await (const chunk of far) text += chunk
  expect(text).toBe(OK)
  await watch.until('close')
  expect(watch.codes).toEqual([])
  const { connection } = watch.all('open')[0]!
  expect(connection.client).toMatchObject({ remoteAddress: undefined, encrypted: false })
  expect([connection.bytesRead, connection.bytesWritten]).toEqual([0, 0])
})
