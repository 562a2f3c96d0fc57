import net from 'node:net'
import { onTestFinished } from 'vitest'

/** As systemd does: binds a socket, and does not accept. The children to which `fd` is passed do. */
export interface PassedSocket {
  fd: number
  /** 0 for a path. */
  port: number
}

interface Handle {
  fd: number
  getsockname?(address: { port?: number }): void
  close(): void
}

/** Binds a free port of loopback, or a path, until the end of the test. */
export function bindSocket(path?: string): PassedSocket {
  // The public API would accept clients in this process.
  const { _createServerHandle: create } = net as unknown as { _createServerHandle(...given: unknown[]): Handle }
  const handle = path === undefined ? create('127.0.0.1', 0, 4) : create(path, -1, -1)
  onTestFinished(() => handle.close())
  const address: { port?: number } = {}
  handle.getsockname?.(address)
  return { fd: handle.fd, port: address.port ?? 0 }
}
