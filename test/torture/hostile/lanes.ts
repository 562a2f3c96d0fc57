import { once } from 'node:events'
import net from 'node:net'
import { dechunk, type Reading } from './reading.ts'

/** Number of streams that are sent in parallel. */
export const LANES = 16

/** A lane carries one stream at a time, so that its far end knows which stream it sees. */
export interface Lane<T> {
  to: net.NetConnectOpts
  /** Returns the outcome of the last stream. */
  take(): Promise<T>
}

/** Sends all streams. Returns the outcome of each, and the bytes that its client got. */
export async function sendAll<T>(
  streams: readonly string[],
  open: (lane: number) => Promise<Lane<T>>,
): Promise<{ answer: string; outcome: T }[]> {
  const results: { answer: string; outcome: T }[] = []
  let next = 0
  const work = async (_: unknown, i: number) => {
    const lane = await open(i)
    while (next < streams.length) {
      const at = next++
      const answer = await send(lane.to, streams[at]!)
      results[at] = { answer, outcome: await lane.take() }
    }
  }
  await Promise.all(Array.from({ length: LANES }, work))
  return results
}

/** Sends bytes and a FIN, and returns the bytes that arrive until the connection closes. */
async function send(to: net.NetConnectOpts, bytes: string): Promise<string> {
  const socket = net.connect({ ...to, allowHalfOpen: true })
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    answer += text
  })
  // A server that refuses a stream may reset it.
  socket.on('error', () => undefined)
  socket.on('end', () => socket.destroy())
  socket.end(Buffer.from(bytes, 'latin1'))
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}

/** The far end of a lane. It accepts connections, and waits for their end. */
export class FarEnd<T> {
  readonly server: net.Server
  readonly #open = new Set<net.Socket>()
  #seen: T[] = []

  /** `accept` calls `saw` with what a connection received. */
  constructor(accept: (socket: net.Socket, saw: (what: T) => void) => void) {
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.#open.add(socket)
      socket.on('close', () => this.#open.delete(socket))
      socket.on('error', () => undefined)
      accept(socket, (what) => this.#seen.push(what))
    })
  }

  /** Waits until no connection is open, and returns what they received since the last call. */
  async take(): Promise<T[]> {
    for (const socket of this.#open) if (!socket.closed) await once(socket, 'close')
    const seen = this.#seen
    this.#seen = []
    return seen
  }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

/** Records all bytes of each connection. */
export const recordBytes = (): FarEnd<string> =>
  new FarEnd((socket, saw) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => void chunks.push(chunk))
    socket.on('end', () => {
      saw(Buffer.concat(chunks).toString('latin1'))
      socket.end(OK)
    })
  })

/** Records one request of each connection, in the form in which a proxy rewrites it. */
export const recordRequests = (): FarEnd<Reading> =>
  new FarEnd((socket, saw) => {
    let text = ''
    let isSeen = false
    const see = (isOver: boolean) => {
      const request = isSeen ? undefined : requestOf(text)
      if (!request || (!request.isWhole && !isOver)) return
      isSeen = true
      saw(request)
      socket.end(OK)
    }
    socket.setEncoding('latin1')
    socket.on('data', (more: string) => {
      text += more
      see(false)
    })
    socket.on('close', () => see(true))
    socket.on('end', () => socket.end())
  })

function requestOf(text: string): Reading | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const fieldOf = (name: string) =>
    lines
      .find((line) => line.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim()
  const rest = text.slice(end + 4)
  const length = Number(fieldOf('content-length') ?? 0)
  const [body, after] =
    fieldOf('transfer-encoding') === undefined
      ? [rest.slice(0, length), rest.length < length ? undefined : '']
      : dechunk(rest)
  const [method = '', ...others] = first.split(' ')
  const target = others.slice(0, -1).join(' ')
  return { method, target, host: fieldOf('host'), body, isWhole: after !== undefined, next: undefined }
}
