import { isatty } from 'node:tty'
import { messageOf } from '../show.ts'
import { readArguments } from './config/arguments.ts'
import { type Config, ConfigError, type Pool, poolsOf } from './config/config.ts'
import { Ending } from './ending.ts'
import { escapeUnprintable } from './escape.ts'
import { counted, exit, exitBySignal } from './exit.ts'
import { importOrExit } from './import.ts'
import { Notifier } from './notify.ts'
import { standardIo } from './output.ts'
import type { Service } from './service/index.ts'
import type { Primary } from './workers/index.ts'

// --help and --version load neither the engine nor the service: imports of them are dynamic, or of types.

/** ms for the process to end by itself after everything is closed. */
const LINGER_MS = 1_000

const io = standardIo()
const notifier = new Notifier(io.say)

/** URL fragments with admin tokens that have been printed. */
const printedTokens = new Set<string>()

const STDERR = 2
const isOnTerminal = isatty(STDERR)

/** The service, in one process or in several. */
type Running = Service | Primary

async function start(config: Config, argv: readonly string[]): Promise<Running> {
  if (config.workers === 1) {
    const { Service } = await importOrExit(() => import('./service/index.ts'))
    return Service.start(config, io)
  }
  const { Primary } = await importOrExit(() => import('./workers/index.ts'))
  return Primary.start(config, argv, io)
}

/** Lets the process end by itself, or ends it after a while: a timer of a config module may keep it alive. */
function finish(code: number): void {
  process.exitCode = code
  setTimeout(() => {
    io.say('still alive after the drain (a timer of the config module, a file read, or a blocked log): exiting')
    exit(code)
  }, LINGER_MS).unref()
}

function fail(error: unknown): void {
  const isOfConfig = error instanceof ConfigError || error instanceof TypeError
  for (const line of messageOf(error).split('\n')) io.say(line)
  finish(isOfConfig ? 2 : 1)
}

/** Whether the terminal on stderr has been closed, which sends a SIGHUP too. */
function isHungUp(): boolean {
  return isOnTerminal && !isatty(STDERR)
}

/** Ends like any program whose terminal is closed. On a normal exit Node would abort, as it cannot reset the terminal. */
function hangUp(service: Running | undefined): void {
  service?.stop()
  exitBySignal('SIGHUP')
}

async function reload(service: Running, workers: number, load: () => Promise<Config>): Promise<void> {
  notifier.reloading()
  try {
    const config = await load()
    await service.reload(config)
    notifier.ready('serving')
    io.say('reloaded')
    if (config.workers !== workers) io.say(`workers: ${config.workers} needs a restart; still running ${workers}`)
    describe(service, config)
  } catch (error) {
    for (const line of messageOf(error).split('\n')) io.say(`not reloaded: ${line}`)
    notifier.ready('serving with the old config: the new one has a mistake')
  }
}

/** Drops the result of a load that a later load has overtaken: the one that began last has the newest config. */
function inOrder(load: () => Promise<Config>): () => Promise<Config> {
  let begun = 0
  let newest = 0
  return async () => {
    const number = ++begun
    const config = await load()
    if (number < newest) throw new Error('a later reload has read a newer config')
    newest = number
    return config
  }
}

/** Prints what is read, and the addresses. Each admin token is printed once only, because logs are kept and passed on. */
function describe(service: Running, { requests }: Config): void {
  const read = requests === 'every' ? 'every request' : 'only the first request of each connection'
  io.say(`reading ${read} (--requests ${requests})`)
  for (const address of service.addresses) io.say(`listening on ${address}`)
  if (service.adminUrl === undefined) return
  const [url = '', token = ''] = service.adminUrl.split(/(?=#token=)/)
  io.say(`admin page on ${printedTokens.has(token) ? url : service.adminUrl}`)
  printedTokens.add(token)
}

/** Warns if the sticky cookie is an unkeyed hash of an address, which can be guessed. */
function warn(config: Config): void {
  const isGuessable = ({ sticky, backends }: Pool) => sticky && !backends.every((target) => 'id' in target)
  if (config.secret || !poolsOf(config).some(isGuessable)) return
  io.say('without --secret-file, the address of a backend can be guessed from its sticky cookie')
}

/** Fails if the event loop gets empty first. Node would exit with 13 and no message. */
async function orNever<T>(loaded: Promise<T>): Promise<T> {
  const never = () => fail(new ConfigError("--config: the module's top-level await never settled"))
  process.once('beforeExit', never)
  return await loaded.finally(() => process.off('beforeExit', never))
}

/** Checks the config and says what would run. */
async function check(load: () => Promise<Config>): Promise<void> {
  const { checkConfig } = await importOrExit(() => import('./service/index.ts'))
  const config = await orNever(load())
  warn(config)
  const lines = await checkConfig(config)
  // A timer of a config module may keep the process alive.
  process.stdout.write(lines.map((line) => `${escapeUnprintable(line)}\n`).join(''), () => exit(0))
}

async function run(argv: readonly string[], load: () => Promise<Config>): Promise<void> {
  let service: Running | undefined
  const end = (name: NodeJS.Signals) => {
    if (service) notifier.stopping()
    ending.signal(service, name)
  }
  const ending = new Ending({ say: io.say, drained: () => void notifier.sent().then(() => finish(0)), failed: fail })
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => end(name))
  const starting = counted(
    load().then(async (config) => {
      warn(config)
      return { config, service: await start(config, argv) }
    }),
  )
  process.on('SIGUSR1', () => void service?.reopenLog())
  process.on('SIGUSR2', () => io.say('SIGUSR2: ignored'))
  process.on('SIGHUP', () => {
    if (isHungUp()) return hangUp(service)
    starting.then(
      (started) => counted(reload(started.service, started.config.workers, load)),
      () => undefined,
    )
  })
  const started = await orNever(starting)
  service = started.service
  describe(service, started.config)
  if (started.config.workers > 1) io.say(`${started.config.workers} workers serve`)
  notifier.ready('serving')
}

/** Runs the command. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    const request = readArguments(argv)
    if (request.kind === 'print') process.stdout.write(request.text)
    else if (request.kind === 'check') await check(request.load)
    else await run(argv, inOrder(request.load))
  } catch (error) {
    fail(error)
  }
}
