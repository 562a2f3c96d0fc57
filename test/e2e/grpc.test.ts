import { once } from 'node:events'
import { Client, credentials, Metadata, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import { noise, sha256 } from '../helpers/bytes.ts'
import { calls, method, SERVICE, startGrpc, unary } from '../helpers/grpc.ts'
import { MODES, type Mode, proxyTo } from '../helpers/modes.ts'

describe.each(MODES.filter(({ isEvery }) => !isEvery))('gRPC, $mode', (mode) => {
  test('answers a unary call with metadata before and after the message', async () => {
    const { client } = await start(mode)
    const metadata = new Metadata()
    metadata.set('x-name', 'me')
    const { call, answer } = unary(client, SERVICE.echo, Buffer.from('hello'), metadata)
    const [[initial], [trailers]] = await Promise.all([once(call, 'metadata'), once(call, 'status')])
    expect(String(await answer)).toBe('hello')
    expect(initial.get('x-peer')).toEqual(['me'])
    expect(trailers).toMatchObject({ code: status.OK })
    expect(trailers.metadata.get('x-bytes-bin')).toEqual([Buffer.from('hell')])
  })

  test('echoes messages of 0 bytes to 3 MiB', async () => {
    const { client } = await start(mode)
    for (const size of [0, 1, 16_384, 65_536, 3 * 2 ** 20]) {
      const answer = await unary(client, SERVICE.echo, noise(size)).answer
      expect([size, sha256(answer)]).toEqual([size, sha256(noise(size))])
    }
  })

  test('passes an error with its code, details and metadata', async () => {
    const { client } = await start(mode)
    const error: ServiceError = await unary(client, SERVICE.fail, Buffer.from('such')).answer.then(
      () => expect.unreachable(),
      (error) => error,
    )
    expect([error.code, error.details]).toEqual([status.NOT_FOUND, 'no such – näher'])
    expect(error.metadata.get('x-reason')).toEqual(['no idea'])
  })

  test('answers UNIMPLEMENTED for an unknown method', async () => {
    const { client } = await start(mode)
    const { answer } = unary(client, method('None', false, false), Buffer.alloc(0))
    await expect(answer).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
  })

  test('streams the answer of a server', async () => {
    const { client } = await start(mode)
    const { path, requestSerialize, responseDeserialize } = SERVICE.split
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, noise(1000))
    const parts: Buffer[] = []
    for await (const part of call) parts.push(part)
    expect(parts.length).toBe(1000)
    expect(sha256(Buffer.concat(parts))).toBe(sha256(noise(1000)))
  })

  test('streams the request of a client', async () => {
    const { client } = await start(mode)
    const { path, requestSerialize, responseDeserialize } = SERVICE.join
    const parts = Array.from({ length: 50 }, (_, i) => noise(i * 1000, i))
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, value) =>
        error ? reject(error) : resolve(value),
      )
      for (const part of parts) call.write(part)
      call.end()
    })
    expect(sha256(answer!)).toBe(sha256(Buffer.concat(parts)))
  })

  test('streams both ways, with an answer to each message before the next is sent', async () => {
    const { client } = await start(mode)
    const { path, requestSerialize, responseDeserialize } = SERVICE.chat
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    for (let i = 0; i < 30; i++) {
      const message = noise(i * 1000, i)
      const answered = once(call, 'data')
      call.write(message)
      expect([i, sha256((await answered)[0])]).toEqual([i, sha256(message)])
    }
    const ended = once(call, 'status')
    call.resume()
    call.end()
    expect((await ended)[0]).toMatchObject({ code: status.OK })
  })

  test('cancels a call at the server when the client cancels it', async () => {
    const { client } = await start(mode)
    const cancelled = once(calls, 'cancelled')
    const { path, requestSerialize, responseDeserialize } = SERVICE.split
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.alloc(0))
    const error = new Promise((resolve) => call.on('error', resolve))
    await once(call, 'data')
    call.cancel()
    await cancelled
    expect(await error).toMatchObject({ code: status.CANCELLED })
  })

  test('gives each of 200 concurrent calls over one connection its own answer', async () => {
    const { client, proxy } = await start(mode)
    const messages = Array.from({ length: 200 }, (_, i) => noise(1 + i * 97, i))
    const answers = await Promise.all(messages.map((message) => unary(client, SERVICE.echo, message).answer))
    expect(answers.map((answer) => sha256(answer))).toEqual(messages.map((message) => sha256(message)))
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: 1, badHeads: 0 })
  })

  test('fails calls with UNAVAILABLE when their connection breaks off, and the next call connects again', async () => {
    const { client, proxy } = await start(mode)
    const { path, requestSerialize, responseDeserialize } = SERVICE.chat
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    call.write(Buffer.from('there?'))
    await once(call, 'data')
    const error = new Promise((resolve) => call.on('error', resolve))
    for (const connection of proxy.active) connection.destroy()
    expect(await error).toMatchObject({ code: status.UNAVAILABLE })

    expect(String(await unary(client, SERVICE.echo, Buffer.from('again')).answer)).toBe('again')
    expect(proxy.counters).toMatchObject({ accepted: 2, connected: 2 })
  })
})

async function start(mode: Mode) {
  const backendPort = await startGrpc(ServerCredentials.createInsecure())
  const { proxy, port } = await proxyTo(mode, { port: backendPort, host: '127.0.0.1' })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  onTestFinished(() => client.close())
  return { proxy, client }
}
