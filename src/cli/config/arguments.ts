import { Command, CommanderError } from 'commander'
import { importOrExit } from '../import.ts'
import { VERSION } from '../version.ts'
import { type Config, ConfigError } from './config.ts'
import { HELP } from './help.ts'
import { show, unknownName } from './words.ts'

/** What the command line asks for. `load` reads the files that it names, each time again. @throws {ConfigError} */
export type Request = { kind: 'run' | 'check'; load(): Promise<Config> } | { kind: 'print'; text: string }

/** Each option, and whether it may be repeated. settings.ts has their values, help.ts their meaning. */
const OPTIONS: readonly (readonly [flags: string, isList?: true])[] = [
  ['--listen <address>', true],
  ['--route <route>', true],
  ['--tls-cert <file>', true],
  ['--tls-key <file>', true],
  ['--tls-min-version <version>'],
  ['--alpn <list>', true],
  ['--tls-client-ca <file>'],
  ['--tls-client-verify <mode>'],
  ['--forwarded [form]'],
  ['--request-id'],
  ['--redirect-https [port]'],
  ['--trust <list>', true],
  ['--proxy-protocol <list>', true],
  ['--requests <mode>'],
  ['--http2 <mode>'],
  ['--algorithm <name>'],
  ['--key <key>'],
  ['--sticky [name]'],
  ['--secret-file <file>'],
  ['--failover <mode>'],
  ['--queue <time>'],
  ['--slow-start <time>'],
  ['--retries <n>'],
  ['--eject <failures>'],
  ['--health <check>'],
  ['--dns-server <ip>', true],
  ['--dns-interval <time>'],
  ['--dns-hold <time>'],
  ['--config <file>'],
  ['--check'],
  ['--admin <address>'],
  ['--admin-token-file <file>'],
  ['--admin-requests'],
  ['--log <format>'],
  ['--log-file <file>'],
  ['--grace <time>'],
  ['--shutdown-delay <time>'],
  ['--workers <n>'],
  ['--max-connections <n>'],
  ['--max-connections-per-client <n>'],
  ['--rate <rate>'],
  ['--head-timeout <time>'],
  ['--connect-timeout <time>'],
  ['--idle-timeout <time>'],
  ['--response-head-timeout <time>'],
  ['--half-close-timeout <time>'],
  ['--max-head-bytes <n>'],
  ['--max-fields <n>'],
  ['--lenient-responses'],
]

/** Reads the command line. @throws {ConfigError} with one line on the first mistake */
export function readArguments(argv: readonly string[]): Request {
  let text = ''
  const command = createCommand().configureOutput({ writeOut: (part) => (text += part), writeErr: () => undefined })
  try {
    command.parse(withDefaults(argv, command), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'print', text }
    throw new ConfigError(lineOf(error, command))
  }
  const { config, check, ...options } = command.opts<Record<string, unknown>>()
  const line = settingsOf(options, command.args)
  // Loads the engine, which --help and --version do without.
  const load = async () => {
    const { loadConfig } = await importOrExit(() => import('./load.ts'))
    return loadConfig(line, config as string | undefined)
  }
  return { kind: check ? 'check' : 'run', load }
}

/** Exported for the test of the help. */
export function createCommand(): Command {
  const command = new Command('badass').exitOverride().argument('[target...]')
  for (const [flags, isList] of OPTIONS) {
    if (isList) command.option(flags, '', (value: string, before: string[] = []) => [...before, value])
    else command.option(flags)
  }
  command.version(VERSION, '-V, --version').helpOption('-h, --help')
  command.helpInformation = () => HELP
  return command
}

/** Options whose value may be left out, with the value that counts then. */
const DEFAULT_VALUES: Readonly<Record<string, string>> = {
  '--sticky': 'sticky',
  '--redirect-https': 'auto',
  '--forwarded': 'x',
}

/** Makes 3001 in `--sticky 3001` a target. Commander would take it for the value of `--sticky`. */
function withDefaults(argv: readonly string[], command: Command): string[] {
  const withValue = new Set(command.options.filter(({ required }) => required).map(({ long }) => long))
  const end = argv.indexOf('--') < 0 ? argv.length : argv.indexOf('--')
  return argv.map((argument, i) => {
    const isOption = Object.hasOwn(DEFAULT_VALUES, argument) && i < end && !withValue.has(argv[i - 1])
    return isOption ? `${argument}=${DEFAULT_VALUES[argument]}` : argument
  })
}

/** The options, named as the settings of a config file. */
function settingsOf(options: Record<string, unknown>, targets: readonly string[]): Record<string, unknown> {
  const { tlsCert, tlsKey, route, dnsServer, dnsInterval, dnsHold, ...settings } = options
  if (tlsCert || tlsKey) settings.tls = pairs((tlsCert ?? []) as string[], (tlsKey ?? []) as string[])
  const dns = Object.entries({ servers: dnsServer, interval: dnsInterval, hold: dnsHold })
  const given = dns.filter(([, value]) => value !== undefined)
  if (given.length > 0) settings.dns = Object.fromEntries(given)
  if (route) settings.routes = route
  if (targets.length > 0) settings.backends = targets
  return settings
}

function pairs(certs: readonly string[], keys: readonly string[]): { cert: string; key: string }[] {
  if (certs.length === keys.length) return certs.map((cert, i) => ({ cert, key: keys[i]! }))
  const [more, less] = certs.length > keys.length ? ['cert', 'key'] : ['key', 'cert']
  const [most, least] = [certs.length, keys.length].sort((a, b) => b - a)
  throw new ConfigError(`--tls-${more}: got ${most}, but ${least} of --tls-${less}`)
}

/** Words Commander's error as ours. */
function lineOf({ code, message }: CommanderError, command: Command): string {
  const [, name = ''] = /'(.*)'/s.exec(message) ?? []
  if (code === 'commander.optionMissingArgument') {
    const [flag, value = ''] = name.split(' ')
    return `${flag}: expected ${value.replace(/<(.*)>/, '$1').toUpperCase()}, got no value`
  }
  if (code !== 'commander.unknownOption') return message.replace(/^error: /, '')
  const [flag = ''] = name.split('=')
  const known = [...command.options.map(({ long }) => long!), '--help']
  if (known.includes(flag)) return `${flag}: expected no value, got ${show(name.slice(flag.length + 1))}`
  return `${flag}: ${unknownName(flag, known, 'see badass --help')}`
}
