import http from 'node:http'
import { expect, test } from 'vitest'
import { send } from '../../helpers/http.ts'
import { listen } from '../../helpers/net.ts'
import { startService } from './support.ts'

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const TRACE = /^00-[\da-f]{32}-[\da-f]{16}-01$/
const KNOWN = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'

/** Returns what a backend and the log get of a request with these fields. */
async function ask(headers: http.OutgoingHttpHeaders, trust: string[] = []) {
  const port = await listen(
    http.createServer((request, response) => response.end(JSON.stringify(request.headersDistinct))),
  )
  const service = await startService({ backends: [{ port }], requests: 'every', requestId: true, trust, log: 'json' })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const answers = []
  for (let i = 0; i < 2; i++) {
    const { body } = await send(http.get({ port: service.port, host: '127.0.0.1', agent, headers }))
    answers.push(JSON.parse(String(body)) as Record<string, string[] | undefined>)
  }
  agent.destroy()
  const logged = (await service.logged.untilCount(2)).map((line) => JSON.parse(line).requestId)
  expect(logged).toEqual(answers.map((answer) => answer['x-request-id']?.[0]))
  return answers
}

test('each request gets an id and a trace of its own', async () => {
  const [one, other] = await ask({})
  for (const answer of [one, other]) {
    expect(answer?.['x-request-id']).toEqual([expect.stringMatching(UUID)])
    expect(answer?.traceparent).toEqual([expect.stringMatching(TRACE)])
  }
  expect(one?.['x-request-id']).not.toEqual(other?.['x-request-id'])
  expect(one?.traceparent).not.toEqual(other?.traceparent)
})

test('a client cannot choose its id, not even in the spelling of CGI or in later requests', async () => {
  for (const answer of await ask({ 'X-Request-Id': 'mine', X_Request_Id: 'mine', 'x.request-id': 'mine' })) {
    expect(answer['x-request-id']).toEqual([expect.stringMatching(UUID)])
    expect(answer).not.toHaveProperty('x_request_id')
    expect(answer).not.toHaveProperty(['x.request-id'])
  }
})

test('a trusted peer may bring an id, if it is one', async () => {
  for (const answer of await ask({ 'X-Request-Id': 'from-the-edge/1' }, ['127.0.0.1'])) {
    expect(answer['x-request-id']).toEqual(['from-the-edge/1'])
  }
  for (const bad of ['two words', 'x'.repeat(129), ['a', 'b']]) {
    for (const answer of await ask({ 'X-Request-Id': bad }, ['127.0.0.1'])) {
      expect(answer['x-request-id']).toEqual([expect.stringMatching(UUID)])
    }
  }
})

test('a valid trace passes, and a bad one is replaced with its state', async () => {
  for (const answer of await ask({ traceparent: KNOWN, tracestate: 'a=b' })) {
    expect([answer.traceparent, answer.tracestate]).toEqual([[KNOWN], ['a=b']])
  }
  for (const bad of ['00-1-2-01', KNOWN.toUpperCase(), `00-${'0'.repeat(32)}-00f067aa0ba902b7-00`, [KNOWN, KNOWN]]) {
    for (const answer of await ask({ traceparent: bad, tracestate: 'a=b' })) {
      expect(answer.traceparent).toEqual([expect.stringMatching(TRACE)])
      expect(answer.tracestate).toBeUndefined()
    }
  }
})
