import { randomBytes } from 'node:crypto'
import type http from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import type { AdminOptions } from '../admin/index.ts'
import type { Config } from '../config/index.ts'
import { type Change, listenAt, portOf, urlOf } from './listeners.ts'

type Settings = NonNullable<Config['admin']>

const NO_CHANGE: Change = { commit: () => undefined, abort: () => undefined }

/** The admin page of a service or of several, where there is one. It follows the config, and ends last. */
export class AdminPage {
  readonly #options: Omit<AdminOptions, 'token' | 'allowedHosts'>
  /** For as long as the service lives: a reload leaves open pages their token. */
  readonly #ownToken = randomBytes(18).toString('base64url')
  #settings: Settings | undefined
  #server: http.Server | undefined

  constructor(options: Omit<AdminOptions, 'token' | 'allowedHosts'>) {
    this.#options = options
  }

  /** With the token, where that is one of our own that nobody knows otherwise. */
  get url(): string | undefined {
    if (!this.#server) return undefined
    const url = urlOf(this.#server, 'http')
    return this.#settings?.token === undefined ? `${url}#token=${this.#ownToken}` : url
  }

  /** Begins to listen where that is new. @throws {Error} of one line; then nothing has changed */
  async change(settings: Settings | undefined): Promise<Change> {
    if (isDeepStrictEqual(settings, this.#settings)) return NO_CHANGE
    if (!settings) return { ...NO_CHANGE, commit: () => this.close() }
    const server = await this.#create(settings)
    const isSamePlace = isDeepStrictEqual(settings.listen, this.#settings?.listen)
    if (!isSamePlace) await listenAt(server, settings.listen, this.#server && [portOf(this.#server)])
    const commit = () => {
      this.#settings = settings
      // The address stays taken, and who is connected stays: only who answers is another.
      if (isSamePlace) return delegate(this.#server!, server)
      this.#end()
      this.#server = server
      // EMFILE for one; without a listener it would end the process.
      server.on('error', () => undefined)
    }
    return { commit, abort: () => void server.close() }
  }

  close(): void {
    this.#end()
    this.#server = undefined
    this.#settings = undefined
  }

  #end(): void {
    this.#server?.close()
    this.#server?.closeAllConnections()
  }

  async #create({ listen, token = this.#ownToken }: Settings): Promise<http.Server> {
    // Its libraries take a fifth of the start: not where there is no page.
    const { createAdmin } = await import('../admin/index.ts')
    const host = 'host' in listen ? listen.host : undefined
    // Without a host it listens on every address.
    const allowedHosts = 'path' in listen ? [] : [host ?? '::']
    return createAdmin({ ...this.#options, token, allowedHosts })
  }
}

function delegate(from: http.Server, to: http.Server): void {
  from.removeAllListeners('request')
  from.on('request', (request, response) => to.emit('request', request, response))
}
