import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Workload } from '../types.ts'
import { checkKeepAlive, expect } from './ask.ts'
import { wrk } from './wrk.ts'

export const keepAlive: Workload = {
  name: 'keep-alive',
  title: 'small requests on 64 keep-alive connections (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: checkKeepAlive,
  run: ({ port, seconds }) => wrk({ port, seconds, connections: 64 }),
}

/** Sends sixteen requests in one write and expects the answers in the same order. */
async function checkPipelined(port: number): Promise<void> {
  const paths = Array.from({ length: 16 }, (_, i) => `/name/${String.fromCharCode(97 + i)}`)
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`).join(''))
    let text = ''
    while (!text.includes(paths.at(-1)!)) {
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
      text += chunk.toString('latin1')
    }
    expect('good answers', text.match(/HTTP\/1\.1 200 /g)?.length, paths.length)
    expect('their order', text.match(/\/name\/\w/g)?.join(), paths.join())
  } finally {
    socket.destroy()
  }
}

// The path leads from the compiled file to the source folder.
const script = fileURLToPath(new URL('../../../../proxy/loads/pipelined.lua', import.meta.url))

export const pipelined: Workload = {
  name: 'pipelined',
  title: 'small requests, 16 in one write, on 64 connections (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: checkPipelined,
  run: ({ port, seconds }) => wrk({ port, seconds, connections: 64, script }),
}
