import net from 'node:net'
import type { Head } from '../../../src/index.ts'
import { startProxy } from '../../helpers/proxy.ts'
import { turn } from '../../helpers/turns.ts'
import { attackOf } from './attacks.ts'

/** A request as lookup saw it. */
export interface Asked {
  readonly method: string
  /** Without scheme and host. */
  readonly path: string
  /** The minor version of HTTP. */
  readonly minor: '0' | '1'
  /** The value that lookup wrote to X-Id. */
  readonly id: string
}

/** A target without scheme and host, and with one leading slash. */
export const pathOf = (target: string): string => target.replace(/^http:\/\/[^/]*/, '').replace(/^\/+/, '/')

/** Whether lookup answers this path. */
export const isOwn = (path: string): boolean => path.includes('-own')

/** A connection to `port` that records the bytes written to it. */
function tap(port: number, sent: Buffer[]): net.Socket {
  const socket = net.connect(port, '127.0.0.1')
  const write = socket.write.bind(socket) as (bytes: Uint8Array, ...rest: unknown[]) => boolean
  socket.write = (bytes: string | Uint8Array, ...rest: unknown[]) => {
    sent.push(Buffer.from(bytes as Uint8Array))
    return write(bytes as Uint8Array, ...rest)
  }
  return socket
}

/**
 * A proxy whose lookup records each request and sets an X-Id on it. Some hooks change the framing.
 * `sent` receives the bytes that were sent for each X-Id.
 */
export async function startWitness(to: number, sent?: Map<string, Buffer[]>) {
  const asked: Asked[] = []
  const lookup = (head: Head) => {
    const id = String(asked.length)
    const path = pathOf(head.get('x-target') ?? head.target)
    asked.push({ method: head.method, path, id, minor: head.version === 'HTTP/1.0' ? '0' : '1' })
    head.set('X-Id', id)
    const attack = attackOf(path)
    if (attack?.hook === 'lookup') attack.change(head)
    else if (isOwn(path)) return new Response('own', { headers: { 'X-Path': path } })
    const bytes: Buffer[] = []
    sent?.set(id, bytes)
    const dest = sent ? { connect: () => tap(to, bytes) } : { port: to, host: '127.0.0.1' }
    // Every second lookup is asynchronous.
    return asked.length % 2 === 0 ? dest : turn(dest)
  }
  const modify = (head: Head, _dest: unknown, request: Head) => {
    const attack = attackOf(request.target)
    if (attack?.hook === 'modify') attack.change(head)
  }
  const { port } = await startProxy({ requests: 'every', lookup, modify })
  return { port, asked }
}
