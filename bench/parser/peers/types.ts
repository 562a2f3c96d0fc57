/** What a parser found in a head. It leaves out what it does not look for. */
interface Found {
  method?: string
  target?: string
  fields?: number
}

/** A way to parse a head. */
export interface Peer {
  name: string
  /** What is special about it; one line. */
  note: string
  /** Makes a parser for the heads of one connection. */
  start(): Parser
}

export interface Parser {
  /** Parses a head. Returns whether it ended at the last byte. */
  parse(chunks: readonly Buffer[]): boolean
  /** What it found in the last head. */
  found(): Found
}
