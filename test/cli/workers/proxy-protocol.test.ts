import http from 'node:http'
import net from 'node:net'
import { expect, test } from 'vitest'
import { connect } from '../../helpers/net.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { get, startBackend } from '../service/support.ts'
import { byTwo, startTwo, untilServedBy } from './support.ts'

test('each worker reads PROXY headers, and sends backends the client', async () => {
  const backend = await startBackend()
  const settings = { backends: [backend], forwarded: true, proxyProtocol: ['127.0.0.1'] }
  const { port, command } = await startTwo(settings)
  const ask = () =>
    get({}, {}, (options) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.write(LINE)
      return http.request({ ...options, agent: undefined, createConnection: () => socket } as http.RequestOptions)
    })
  for (const { headers } of await untilServedBy(byTwo, ask)) expect(headers['x-forwarded-for']).toBe('192.0.2.1')
  const client = await connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.closed()
  expect(client.text).toBe('')
  await command.said('refused 127.0.0.1: BAD_PROXY_HEADER')
})
