/** Maximum number of sessions. A session takes a few KiB. */
const MOST = 256

/**
 * The last TLS session of each destination. With it, the next handshake needs no certificate (RFC 8446 2.2, RFC 5246
 * 7.3). Sessions have the keys of connections, so that one is used only with the same options.
 */
export class TlsSessions {
  /** By key. The least recently used session is first. */
  readonly #sessions = new Map<string, Buffer>()

  get(key: string): Buffer | undefined {
    const session = this.#sessions.get(key)
    if (session) this.put(key, session)
    return session
  }

  put(key: string, session: Buffer): void {
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    if (this.#sessions.size <= MOST) return
    const [oldest] = this.#sessions.keys()
    this.#sessions.delete(oldest!)
  }

  /** Forgets a session whose handshake failed. */
  delete(key: string): void {
    this.#sessions.delete(key)
  }
}
