import net from 'node:net'
import { expect, test } from 'vitest'
import { connect } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { block, LINE } from '../../helpers/proxy-header.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'
import { write } from '../config/support.ts'
import { endWith, startBackend, startService } from './support.ts'

// What load balancers send to see whether a listener is there: a connection without a request.

expectNoWarnings()

const host = '127.0.0.1'
const LOCAL = block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) })

function certificateFiles() {
  return { cert: write('cert.pem', String(certificate().cert)), key: write('key.pem', String(certificate().key)) }
}

/** Opens a connection, sends these bytes, and ends it. Resolves when it is closed. */
async function check(port: number, bytes: Buffer | string, end: 'end' | 'reset'): Promise<void> {
  const client = await connect(port)
  if (bytes.length > 0) await client.flush(bytes)
  client[end]()
  await client.closed()
}

const HEADERS = [
  ['nothing', ''],
  ['version 1', LINE],
  ['version 1, UNKNOWN', 'PROXY UNKNOWN\r\n'],
  ['version 2', block()],
  ['version 2, LOCAL', LOCAL],
] as const

const LISTENERS = (['first', 'every'] as const).flatMap((requests) =>
  [false, true].flatMap((isTls) => [false, true].map((hasHeader) => ({ requests, isTls, hasHeader }))),
)

test.each(LISTENERS)('an empty check leaves no line and no failure: %j', async ({ requests, isTls, hasHeader }) => {
  const { port, logged, said, service } = await startService({
    ...{ backends: [await startBackend()], requests, log: 'text' },
    tls: isTls ? [certificateFiles()] : [],
    ...(hasHeader && { proxyProtocol: [host] }),
  })
  for (const [, header] of hasHeader ? HEADERS : HEADERS.slice(0, 1)) {
    for (const end of ['end', 'reset'] as const) await check(port, header, end)
  }
  // A later client has been served, so the checks have been seen.
  if (isTls) {
    const before = hasHeader ? net.connect(port, host) : undefined
    before?.write(LINE)
    const client = await connectTls(port, before ? { socket: before } : {})
    client.write(GET)
    await client.until('200 OK')
    client.end()
  } else {
    await endWith(port, `${hasHeader ? LINE : ''}${GET}`)
  }
  const [line] = await logged.untilCount(1)
  expect(line).toContain(' "GET / HTTP/1.1" ')
  expect(logged.all).toHaveLength(1)
  expect(said.all).toEqual([])
  expect(service.counters).toMatchObject({ handshakeFailures: 0, badHeads: 0 })
})

test('a client that resets the connection inside a request has a line', async () => {
  const { port, logged, service } = await startService({ backends: [await startBackend()], log: 'text' })
  const client = await connect(port)
  client.write('GET /')
  await expect.poll(() => service.counters.bytesRead).toBe(5)
  client.reset()
  expect((await logged.untilCount(1))[0]).toMatch(/ CLIENT_RESET$/)
})
