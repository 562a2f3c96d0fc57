import { once } from 'node:events'
import net from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * On Linux, an address for each vitest worker alone. A closed port stays free there: connections and the servers of
 * other tests use 127.0.0.1.
 */
export const ownHost = process.platform === 'linux' ? `127.0.1.${process.env.VITEST_POOL_ID ?? 1}` : '127.0.0.1'

/** Listens on a free port of loopback (or on `on`) until the end of the test, and returns the port. */
export async function listen(
  server: net.Server,
  on: net.ListenOptions = { port: 0, host: '127.0.0.1' },
): Promise<number> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(on)
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/**
 * A port of loopback that refuses connections. A client socket holds it until the end of the test. On a port that is
 * merely free, another process might listen.
 */
export async function deadPort(host = '127.0.0.1'): Promise<number> {
  const client = net.connect(await listen(net.createServer(), { port: 0, host }), host)
  onTestFinished(() => void client.destroy())
  await once(client, 'connect')
  return client.localPort!
}

/** One end of a TCP connection, controlled byte by byte. It keeps all received bytes, and a test can wait for them. */
export class Peer {
  readonly socket: net.Socket
  /** All bytes received so far. */
  received: Buffer = Buffer.alloc(0)
  /** Whether the other side has sent its FIN. */
  hasEnded = false
  /** Set after the socket broke off, for example by a reset. */
  error: NodeJS.ErrnoException | undefined
  readonly #wakes = new Set<() => void>()

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#wake()
    })
    socket.on('end', () => {
      this.hasEnded = true
      this.#wake()
    })
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('close', () => this.#wake())
  }

  /** All received bytes, one character per byte. */
  get text(): string {
    return this.received.toString('latin1')
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Writes and waits until the kernel has accepted the bytes. */
  async flush(bytes: string | Buffer): Promise<void> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    await new Promise<void>((resolve, reject) =>
      this.socket.write(data, (error) => (error ? reject(error) : resolve())),
    )
  }

  end(bytes = ''): void {
    this.socket.end(Buffer.from(bytes, 'latin1'))
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Resolves with all received bytes once they include the text. Throws if the connection closes first. */
  async until(text: string): Promise<string> {
    await this.#when(() => this.text.includes(text), `${JSON.stringify(text)} in what came`)
    return this.text
  }

  /** Resolves once `length` bytes were received. Throws if the connection closes first. */
  async untilLength(length: number): Promise<Buffer> {
    await this.#when(() => this.received.length >= length, `${length} bytes`)
    return this.received
  }

  /** Resolves with all received bytes after the FIN of the other side. Throws after a reset. */
  async ended(): Promise<string> {
    await this.#when(() => this.hasEnded, 'the end')
    return this.text
  }

  /** Resolves when the socket is closed. `error` is set after a reset. */
  async closed(): Promise<void> {
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once('close', resolve))
  }

  async #when(isThere: () => boolean, what: string): Promise<void> {
    while (!isThere()) {
      if (this.socket.closed) throw new Error(`closed (${this.error?.code ?? 'cleanly'}) before ${what}: ${this.text}`)
      await new Promise<void>((resolve) => this.#wakes.add(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
  }
}

/** Connects a peer. Its own side stays open when the other ends. Destroyed after the test. */
export async function connect(to: number | net.NetConnectOpts): Promise<Peer> {
  const target = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to
  const socket = net.connect({ ...target, allowHalfOpen: true, noDelay: true })
  const peer = new Peer(socket)
  onTestFinished(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return peer
}

/** A backend controlled by the test. `next()` returns each accepted connection as a Peer, in order. */
export class Backend {
  readonly server: net.Server
  port = 0
  /** Connections accepted so far. */
  accepted = 0
  #peers: Peer[] = []
  #waiting: ((peer: Peer) => void)[] = []

  /** `create` makes the server if it is not plain TCP, for example for TLS. */
  constructor(
    create: (options: net.ServerOpts, accept: (socket: net.Socket) => void) => net.Server = net.createServer,
  ) {
    this.server = create({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const peer = new Peer(socket)
      this.accepted++
      const next = this.#waiting.shift()
      if (next) next(peer)
      else this.#peers.push(peer)
    })
  }

  static async start(...create: ConstructorParameters<typeof Backend>): Promise<Backend> {
    const backend = new Backend(...create)
    backend.port = await listen(backend.server)
    return backend
  }

  /** The next accepted connection, past or future. */
  async next(): Promise<Peer> {
    return this.#peers.shift() ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Forgets unclaimed connections and pending calls of `next()`. */
  reset(): void {
    this.#peers = []
    this.#waiting = []
  }
}
