import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { messageOf } from '../proxy/index.ts'
import { type Config, ConfigError, readArguments } from './config/index.ts'
import { Service, standardIo } from './service/index.ts'
import type { Primary } from './workers/index.ts'

/** ms for the process to end by itself when all of ours is closed. */
const LINGER_MS = 1_000

const io = standardIo()

const STDERR = 2
const isOnTerminal = isatty(STDERR)

/** What runs: in this process alone, or in several. */
type Running = Service | Primary

async function start(config: Config, argv: readonly string[]): Promise<Running> {
  if (config.workers === 1) return Service.start(config, io)
  const { Primary } = await import('./workers/index.ts')
  return Primary.start(config, argv, io)
}

/** Ends the process by leaving it nothing to do. What stays nevertheless, as a timer of a config module, is told of. */
function finish(code: number): void {
  process.exitCode = code
  setTimeout(() => {
    io.say('something keeps the process (a timer of the config module, a log that nobody reads): it is ended')
    process.exit()
  }, LINGER_MS).unref()
}

function fail(error: unknown): void {
  const isOfConfig = error instanceof ConfigError || error instanceof TypeError
  for (const line of messageOf(error).split('\n')) io.say(line)
  finish(isOfConfig ? 2 : 1)
}

/** The first signal ends the service when its connections have ended; the second, or one before it runs, the process. */
function end(service: Running | undefined, signal: NodeJS.Signals): void {
  if (!service || service.isDraining) process.exit(128 + constants.signals[signal])
  service.drain().then(() => finish(0), fail)
  io.say(`${signal}: draining for up to ${service.grace / 1000} s; once more to end at once`)
}

/** Whether the terminal that people were told on has been closed: then that is what SIGHUP means. */
function isHungUp(): boolean {
  return isOnTerminal && !isatty(STDERR)
}

/** Ends as any program does whose terminal is closed. Node itself would abort, as it cannot set that right again. */
function hangUp(service: Running | undefined): void {
  service?.stop()
  process.removeAllListeners('SIGHUP')
  process.kill(process.pid, 'SIGHUP')
}

async function reload(service: Running, workers: number, load: () => Promise<Config>): Promise<void> {
  try {
    const config = await load()
    await service.reload(config)
    io.say('reloaded')
    if (config.workers !== workers) io.say(`workers: got ${config.workers}, and it runs ${workers}: takes a restart`)
    tellWhere(service)
  } catch (error) {
    for (const line of messageOf(error).split('\n')) io.say(`not reloaded: ${line}`)
  }
}

/** Of loads that overtake each other, as those of a module that waits may, the one that began last has read what is newest. */
function inOrder(load: () => Promise<Config>): () => Promise<Config> {
  let begun = 0
  let newest = 0
  return async () => {
    const number = ++begun
    const config = await load()
    if (number < newest) throw new Error('the config was read anew meanwhile')
    newest = number
    return config
  }
}

function tellWhere(service: Running): void {
  for (const address of service.addresses) io.say(`listening on ${address}`)
  if (service.adminUrl !== undefined) io.say(`admin page on ${service.adminUrl}`)
}

/** Ids that are addresses can be found by trying, where the hash of them has no key. */
function warn({ sticky, secret, backends }: Config): void {
  if (!sticky || secret || backends.every((target) => 'id' in target)) return
  io.say('without --secret-file, whoever tries enough addresses finds the one behind a sticky cookie')
}

async function run(argv: readonly string[], load: () => Promise<Config>): Promise<void> {
  let service: Running | undefined
  let workers = 1
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end(service, signal))
  const starting = load().then((config) => {
    warn(config)
    workers = config.workers
    return start(config, argv)
  })
  process.on('SIGHUP', () => {
    if (isHungUp()) return hangUp(service)
    starting.then(
      (started) => reload(started, workers, load),
      () => undefined,
    )
  })
  // Nothing is left to do, and it has not started: without a word, Node would end with 13.
  const never = () => fail(new ConfigError('--config: the module waits for what never comes'))
  process.once('beforeExit', never)
  try {
    service = await starting
  } finally {
    process.off('beforeExit', never)
  }
  tellWhere(service)
  if (workers > 1) io.say(`${workers} workers serve`)
}

/** The command: with a second signal, or where something keeps it, it ends the process. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    const request = readArguments(argv)
    if (request.kind === 'print') process.stdout.write(request.text)
    else await run(argv, inOrder(request.load))
  } catch (error) {
    fail(error)
  }
}
