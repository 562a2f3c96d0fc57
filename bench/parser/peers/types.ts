/** What a parser found in a head. Undefined is what it does not look for. */
interface Found {
  method?: string
  target?: string
  fields?: number
}

/** A way to find a head in bytes. */
export interface Peer {
  name: string
  /** What it does otherwise than the others; one line. */
  note: string
  /** Makes ready for heads, one after the other, as on one connection. */
  start(): Parser
}

export interface Parser {
  /** Takes a head, chunk by chunk; whether it ended, which is at the last byte. */
  parse(chunks: readonly Buffer[]): boolean
  /** What it found in the last one. */
  found(): Found
}
