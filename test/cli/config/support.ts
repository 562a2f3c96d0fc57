import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

export async function load(file: string, ...argv: string[]): Promise<Config> {
  const request = readArguments(['--config', file, ...argv])
  if (request.kind === 'print') throw new Error('takes no --help')
  return await request.load()
}

/** Writes a file into a directory of its own. */
export function write(name: string, text: string): string {
  const file = join(temporaryDirectory(), name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

export const json = (value: unknown) => write('badass.json', typeof value === 'string' ? value : JSON.stringify(value))

/** What a target may be, as mistakes say it. */
export const TARGETS = 'PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, dns:NAME:PORT or srv:NAME'

/** The lines that a file gets, without the file's name before them. */
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
