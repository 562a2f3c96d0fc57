import { once } from 'node:events'
import http from 'node:http'
import { expect, test } from 'vitest'
import { parseHead } from '../../src/parser/index.ts'
import { connect, listen } from '../helpers/net.ts'

/** Node's default limit of the bytes of the target, names and values. */
const NODE_BYTES = 16 * 1024
/** Node's default limit of fields. It drops the others. */
const NODE_FIELDS = 1000

/** Makes a head of `fields` fields in which Node counts `counted` bytes. */
function headOf(fields: number, counted: number): string {
  const short = Array.from({ length: fields - 2 }, (_, i) => `n${i}: v`)
  const fixed = '/'.length + 'Hosta'.length + 'Cookie'.length + short.reduce((sum, line) => sum + line.length - 2, 0)
  return ['GET / HTTP/1.1', 'Host: a', ...short, `Cookie: ${'c'.repeat(counted - fixed)}`, '\r\n'].join('\r\n')
}

test.for([
  ['one long field', headOf(2, NODE_BYTES - 1)],
  ['as many fields as Node keeps', headOf(NODE_FIELDS, NODE_BYTES - 1)],
])("accepts what Node's default limits accept: %s", async ([, head]) => {
  const server = http.createServer((request, response) => response.end(String(request.rawHeaders.length / 2)))
  const peer = await connect(await listen(server))
  peer.write(head!)
  const [request] = (await once(server, 'request')) as [http.IncomingMessage]
  const ours = parseHead(Buffer.from(head!), 'request')
  expect([...ours].flat()).toEqual(request.rawHeaders)
})

test('accepts seven cookies of 4096 bytes, the longest that browsers keep', () => {
  const cookie = `Cookie: ${Array.from({ length: 7 }, (_, i) => `${i}=${'c'.repeat(4094)}`).join('; ')}`
  const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${cookie}\r\n\r\n`), 'request')
  expect(head.get('cookie')).toHaveLength(7 * 4096 + 6 * 2)
})
