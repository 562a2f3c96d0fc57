import { Command, CommanderError } from 'commander'
import { readVersion } from '../version.ts'
import { type Config, ConfigError } from './config.ts'
import { HELP } from './help.ts'
import { checkLine, loadConfig } from './load.ts'
import { show, unknownName } from './words.ts'

/** What the command line asks for. `load` reads the files that it names, anew each time. */
export type Request = { kind: 'run'; load(): Promise<Config> } | { kind: 'print'; text: string }

/** Each option and whether it may come several times. What it takes stands in schema.ts, what it means in help.ts. */
const OPTIONS: readonly (readonly [flags: string, isList?: true])[] = [
  ['--listen <address>', true],
  ['--tls-cert <file>', true],
  ['--tls-key <file>', true],
  ['--forwarded'],
  ['--trust <list>', true],
  ['--proxy-protocol <list>', true],
  ['--every-request'],
  ['--algorithm <name>'],
  ['--key <key>'],
  ['--sticky [name]'],
  ['--secret-file <file>'],
  ['--failover <mode>'],
  ['--health <check>'],
  ['--dns-server <ip>', true],
  ['--dns-interval <time>'],
  ['--config <file>'],
  ['--admin <address>'],
  ['--admin-token-file <file>'],
  ['--log <format>'],
  ['--grace <time>'],
  ['--workers <n>'],
  ['--head-timeout <time>'],
  ['--connect-timeout <time>'],
  ['--idle-timeout <time>'],
  ['--response-head-timeout <time>'],
  ['--half-close-timeout <time>'],
  ['--max-head-bytes <n>'],
  ['--max-fields <n>'],
  ['--lenient-responses'],
]

/** @throws {ConfigError} with one line on the first mistake */
export function readArguments(argv: readonly string[]): Request {
  let text = ''
  const command = createCommand().configureOutput({ writeOut: (part) => (text += part), writeErr: () => undefined })
  try {
    command.parse(withStickyName(argv, command), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'print', text }
    throw new ConfigError(lineOf(error, command))
  }
  const { config, ...options } = command.opts<Record<string, unknown>>()
  const line = checkLine(settingsOf(options, command.args))
  const file = config as string | undefined
  return { kind: 'run', load: () => loadConfig(line, file) }
}

/** For the test of the help. */
export function createCommand(): Command {
  const command = new Command('badass').exitOverride().argument('[target...]')
  for (const [flags, isList] of OPTIONS) {
    if (isList) command.option(flags, '', (value: string, before: string[] = []) => [...before, value])
    else command.option(flags)
  }
  command.version(readVersion(), '-V, --version').helpOption('-h, --help')
  command.helpInformation = () => HELP
  return command
}

/** Commander takes the next argument for the value of an option that may have one: `--sticky 3001` is a target to us. */
function withStickyName(argv: readonly string[], command: Command): string[] {
  const takesValue = new Set(command.options.filter(({ required }) => required).map(({ long }) => long))
  const end = argv.indexOf('--') < 0 ? argv.length : argv.indexOf('--')
  return argv.map((argument, i) => {
    const isOption = argument === '--sticky' && i < end && !takesValue.has(argv[i - 1])
    return isOption ? '--sticky=sticky' : argument
  })
}

/** Options as the settings of a config file. */
function settingsOf(options: Record<string, unknown>, targets: readonly string[]): Record<string, unknown> {
  const { tlsCert, tlsKey, dnsServer, dnsInterval, ...settings } = options
  if (tlsCert || tlsKey) settings.tls = pairs((tlsCert ?? []) as string[], (tlsKey ?? []) as string[])
  if (dnsServer) settings.dns = { servers: dnsServer }
  if (dnsInterval !== undefined) settings.dns = { ...(settings.dns as object), interval: dnsInterval }
  if (targets.length > 0) settings.backends = targets
  return settings
}

function pairs(certs: readonly string[], keys: readonly string[]): { cert: string; key: string }[] {
  if (certs.length === keys.length) return certs.map((cert, i) => ({ cert, key: keys[i]! }))
  const [more, less] = certs.length > keys.length ? ['cert', 'key'] : ['key', 'cert']
  const [most, least] = [certs.length, keys.length].sort((a, b) => b - a)
  throw new ConfigError(`--tls-${more}: got ${most}, and ${least} of --tls-${less}; takes one for each`)
}

/** Commander's error in our words. */
function lineOf({ code, message }: CommanderError, command: Command): string {
  const [, name = ''] = /'(.*)'/s.exec(message) ?? []
  if (code === 'commander.optionMissingArgument') {
    const [flag, value = ''] = name.split(' ')
    return `${flag}: got no value; takes ${value.replace(/<(.*)>/, '$1').toUpperCase()}`
  }
  if (code !== 'commander.unknownOption') return message.replace(/^error: /, '')
  const [flag = ''] = name.split('=')
  const known = [...command.options.map(({ long }) => long!), '--help']
  if (known.includes(flag)) return `${flag}: got ${show(name.slice(flag.length + 1))}; takes no value`
  return `${flag}: ${unknownName(flag, known, 'see badass --help')}`
}
