import type { Readable } from 'node:stream'
import { type ProxyHeader, ProxyHeaderScanner } from '../../parser/index.ts'
import { type Accepted, peerName } from '../client-info.ts'
import type { ProxyErrorCode } from '../error.ts'
import type { Networks } from '../networks.ts'
import { HeadReader } from '../reader.ts'

/** Exactly one of these is called, with the socket paused, unless the receiver is stopped first. */
export interface ReceiverEvents {
  /** The header, and the bytes that came with it. */
  done(header: ProxyHeader, rest: Buffer): void
  /** The peer may not send a header, or sent an invalid one, or none in time. */
  refused(code: ProxyErrorCode, cause?: unknown): void
  /** The peer ended its side without a byte. */
  ended(): void
}

/** Reads the PROXY header at the start of a connection. `timeout` is in ms, for the whole header; 0: none. */
export function receiveProxyHeader(
  socket: Readable,
  { info, hasLeft }: Pick<Accepted, 'info' | 'hasLeft'>,
  networks: Networks,
  timeout: number,
  events: ReceiverEvents,
): { stop(): void } | undefined {
  // Without an address the peer cannot be trusted.
  if (hasLeft) return void events.refused('CLIENT_RESET')
  if (!networks.has(info)) {
    return void events.refused('UNTRUSTED_PROXY', new Error(`${peerName(info)} is not in proxyProtocol`))
  }
  const stop = () => {
    clearTimeout(timer)
    reader.stop()
  }
  const refuse = (code: ProxyErrorCode, cause?: unknown) => {
    stop()
    events.refused(code, cause)
  }
  const timer = timeout > 0 ? setTimeout(() => refuse('PROXY_HEADER_TIMEOUT'), timeout) : undefined
  const scanner = new ProxyHeaderScanner()
  const reader = new HeadReader(socket, scanner, {
    done: (header, rest) => {
      clearTimeout(timer)
      events.done(header, rest)
    },
    invalid: (error) => refuse('BAD_PROXY_HEADER', error),
    ended: () => {
      const error = scanner.end()
      if (error.offset > 0) return refuse('BAD_PROXY_HEADER', error)
      clearTimeout(timer)
      events.ended()
    },
  })
  return { stop }
}
