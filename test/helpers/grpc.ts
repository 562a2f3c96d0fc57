import { EventEmitter } from 'node:events'
import {
  type Client,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  type ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'

// Messages are plain bytes.
const same = (bytes: Buffer) => bytes
export const method = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> => ({
  path: `/test.Service/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
export const SERVICE = {
  echo: method('Echo', false, false),
  fail: method('Fail', false, false),
  split: method('Split', false, true),
  join: method('Join', true, false),
  chat: method('Chat', true, true),
}

const echo: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
  const initial = new Metadata()
  initial.set('x-peer', String(call.metadata.get('x-name')[0]))
  call.sendMetadata(initial)
  const trailers = new Metadata()
  trailers.set('x-bytes-bin', call.request.subarray(0, 4))
  answer(null, call.request, trailers)
}

const fail: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
  const metadata = new Metadata()
  metadata.set('x-reason', 'no idea')
  answer({ code: status.NOT_FOUND, details: `no ${call.request} – näher`, metadata })
}

/** Emits events about the calls of the server. */
export const calls = new EventEmitter<{ cancelled: [] }>()

/** Sends each byte of the request as a message. For an empty request it sends one message and never ends. */
const split: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.on('cancelled', () => calls.emit('cancelled'))
  if (call.request.length === 0) call.write(Buffer.from('on'))
  else {
    for (const byte of call.request) call.write(Buffer.of(byte))
    call.end()
  }
}

const join: handleClientStreamingCall<Buffer, Buffer> = (call, answer) => {
  const parts: Buffer[] = []
  call.on('data', (part) => parts.push(part))
  call.on('end', () => answer(null, Buffer.concat(parts)))
}

const chat: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message) => call.write(message))
  call.on('end', () => call.end())
}

/** A gRPC server on a free port of loopback until the end of the test. */
export async function startGrpc(credentials: ServerCredentials): Promise<number> {
  const server = new Server()
  server.addService(SERVICE, { echo, fail, split, join, chat })
  onTestFinished(() => server.forceShutdown())
  return new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
  )
}

/** Makes a unary call. */
export function unary(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Buffer, Buffer>,
  message: Buffer,
  metadata = new Metadata(),
) {
  const { promise, settle } = deferred()
  const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, settle)
  return { call, answer: promise }
}

function deferred() {
  let settle!: (error: ServiceError | null, value?: Buffer) => void
  const promise = new Promise<Buffer>((resolve, reject) => {
    settle = (error, value) => (error ? reject(error) : resolve(value!))
  })
  return { promise, settle }
}
