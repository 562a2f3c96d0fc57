import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/index.ts'
import { type Change, listenAt, portOf, stopListening, urlOf } from '../listening/index.ts'
import type { Figures } from './history.ts'
import { Sampler } from './sampler.ts'
import type { AdminOptions, AdminServer } from './server.ts'

type Settings = NonNullable<Config['admin']>

const NO_CHANGE: Change = { commit: () => undefined, abort: () => undefined }

/** What the caller gives. The rest comes from the settings. */
type Options = Omit<AdminOptions, 'token' | 'allowedHosts' | 'history'>

/** The admin page, if the config asks for one. A reload opens, moves or closes it. */
export class AdminPage {
  readonly #options: Options
  /** Used if the config has no token. It survives reloads, so that open pages keep working. */
  readonly #ownToken = randomBytes(18).toString('base64url')
  #settings: Settings | undefined
  #server: AdminServer | undefined
  /** It is on while the page is, and survives other reloads. */
  readonly #sampler: Sampler

  constructor(options: Options) {
    this.#options = options
    this.#sampler = new Sampler(() => figuresOf(options))
  }

  /** The URL, with the token if it was generated. */
  get url(): string | undefined {
    if (!this.#server) return undefined
    const url = urlOf(this.#server, 'http')
    return this.#settings?.token === undefined ? `${url}#token=${this.#ownToken}` : url
  }

  /** Listens on a new address. @throws {Error} with a one-line message; then nothing has changed */
  async change(settings: Settings | undefined): Promise<Change> {
    if (isDeepStrictEqual(settings, this.#settings)) return NO_CHANGE
    if (!settings) return { ...NO_CHANGE, commit: () => this.close() }
    const server = await this.#create(settings)
    const isSameAddress = isDeepStrictEqual(settings.listen, this.#settings?.listen)
    if (!isSameAddress) await listenAt(server, settings.listen, this.#server && [portOf(this.#server)])
    const commit = () => {
      this.#settings = settings
      this.#sampler.start()
      // Keep the socket and its connections, and answer with the new settings.
      if (isSameAddress) return this.#server!.answerAs(server)
      this.#end()
      this.#server = server
      // For example EMFILE. Without a listener it would end the process.
      server.on('error', () => undefined)
    }
    return { commit, abort: () => stopListening(server) }
  }

  close(): void {
    this.#sampler.stop()
    this.#end()
    this.#server = undefined
    this.#settings = undefined
  }

  #end(): void {
    if (this.#server) stopListening(this.#server)
    this.#server?.closeAllConnections()
  }

  async #create({ listen, token = this.#ownToken }: Settings): Promise<AdminServer> {
    // Loading its libraries takes a fifth of the start-up time.
    const { AdminServer } = await import('./server.ts')
    const host = 'host' in listen ? listen.host : undefined
    // Without a host it listens on every address.
    const allowedHosts = 'path' in listen ? [] : [host ?? '::']
    return new AdminServer({ ...this.#options, history: () => this.#sampler.history, token, allowedHosts })
  }
}

async function figuresOf({ workers, counters, balancer, requests }: Options): Promise<Figures> {
  await workers?.refresh()
  return { counters: counters(), backends: balancer.backends, removed: balancer.removed, requests: requests() }
}
