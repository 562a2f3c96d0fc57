import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

/** A config without backends, with every default except the port. */
export const DEFAULTS: Config = {
  listen: [],
  workers: 1,
  backends: [],
  algorithm: 'round-robin',
  key: 'client',
  failover: 'redispatch',
  queue: undefined,
  slowStart: 0,
  retries: 0,
  eject: undefined,
  health: undefined,
  sticky: undefined,
  secret: undefined,
  requests: 'first',
  forwarded: false,
  trust: [],
  tls: [],
  admin: undefined,
  requestId: false,
  log: 'none',
  grace: 30_000,
  shutdownDelay: 0,
  limits: {},
  hooks: {},
}

export async function load(file: string, ...argv: string[]): Promise<Config> {
  const request = readArguments(['--config', file, ...argv])
  if (request.kind === 'print') throw new Error('expected a run')
  return await request.load()
}

/** Writes a file into a new directory. */
export function write(name: string, text: string): string {
  const file = join(temporaryDirectory(), name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

export const json = (value: unknown) => write('badass.json', typeof value === 'string' ? value : JSON.stringify(value))

/** The forms of a target in error messages. */
export const TARGETS = 'PORT, HOST:PORT, [IPV6]:PORT, http(s)://HOST, unix:PATH, dns:NAME:PORT or srv:NAME'

/** The error lines for a file, without the file's name. */
export async function refusal(file: string, ...argv: string[]): Promise<string[]> {
  const error = await load(file, ...argv).then(
    (config) => new Error(`was not refused: ${JSON.stringify(config)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof ConfigError)) throw error
  expect(error.message).toBe(error.lines.join('\n'))
  for (const line of error.lines) expect(line).not.toContain('\n')
  return error.lines.map((line) => (line.startsWith(file) ? line.slice(file.length).replace(/^: /, '') : line))
}
