import type { Head } from '../parser/index.ts'

/** What a client speaks: HTTP/1.0 and HTTP/1.1, or HTTP/2. */
export type Protocol = 'h1' | 'h2'

export const PROTOCOLS: readonly Protocol[] = ['h1', 'h2']

/** The protocol of the connection that a request came on. */
export function protocolOf({ version }: Pick<Head, 'version'>): Protocol {
  return version === 'HTTP/2.0' ? 'h2' : 'h1'
}

/** Whether a backend speaks a protocol. */
export function speaks({ settings }: { settings: { protocol: Protocol | 'both' } }, protocol: Protocol): boolean {
  return settings.protocol === 'both' || settings.protocol === protocol
}

/** The protocols that a backend speaks. */
export function protocolsOf(backend: Parameters<typeof speaks>[0]): Protocol[] {
  return PROTOCOLS.filter((protocol) => speaks(backend, protocol))
}
