import { isUtf8 } from 'node:buffer'
import { readFile, realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isError, messageOf, propertyOf } from '../../show.ts'
import { nearest } from '../../validate.ts'
import { ConfigError } from './config.ts'
import { HOOK_NAMES } from './settings.ts'
import { show } from './words.ts'

const require = createRequire(import.meta.url)

/** @throws {ConfigError} */
async function readText(place: string, path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new ConfigError(`${place}: cannot read ${show(path)}: ${reasonOf(error)}`)
  })
  // Decoding turns every wrong byte into the same character: little would be left of a secret of random bytes.
  if (!isUtf8(bytes)) throw new ConfigError(`${place}: expected UTF-8 text in ${show(path)}`)
  // Without the byte order mark.
  return bytes.toString().replace(/^\ufeff/, '')
}

/** The reason alone, as in 'no such file or directory', without Node's code before it and the call after it. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return /^[A-Z]+: ([^,]+)/.exec(text)?.[1] ?? text
}

/** The lines of a file, trimmed, without the empty ones. @throws {ConfigError} where there are none */
export async function readLines(place: string, path: string): Promise<string[]> {
  const lines = (await readText(place, path)).split('\n').map((line) => line.trim())
  const full = lines.filter((line) => line !== '')
  if (full.length === 0) throw new ConfigError(`${place}: ${show(path)} is empty`)
  return full
}

/** The settings of a config file, not checked yet. @throws {ConfigError} where it cannot be read */
export async function readConfigFile(file: string): Promise<unknown> {
  const type = extname(file)
  if (type === '.js' || type === '.mjs') return await importSettings(file)
  if (type !== '.json') throw new ConfigError(`--config: expected a .json, .js or .mjs file, got ${show(file)}`)
  const [{ parseJson }, text] = await Promise.all([import('./json.ts'), readText('--config', file)])
  return parseJson(file, text)
}

let imports = 0

/** The settings and hooks of a JS module. Each call runs the module again. */
async function importSettings(file: string): Promise<unknown> {
  // Node reads modules synchronously: a pipe without a writer would block the process.
  const isPipe = (await stat(file).catch(() => undefined))?.isFIFO()
  if (isPipe) throw new ConfigError(`--config: expected a regular file for a module, got the pipe ${show(file)}`)
  await readText('--config', file)
  const path = await realpath(file)
  const url = pathToFileURL(path)
  url.searchParams.set('load', String(++imports))
  // The cache of CommonJS modules ignores the query.
  delete require.cache[path]
  try {
    return joinExports(file, await import(url.href))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${file}${lineIn(error, path)}: ${firstLineOf(error)}`)
  }
}

/** The first line of what the user's module threw. */
export function firstLineOf(error: unknown): string {
  return isError(error) ? messageOf(error).split('\n', 1).join() : show(error)
}

/** ':3', the line of the module at which an error was thrown, if the stack has it. */
function lineIn(error: unknown, path: string): string {
  const stack = propertyOf(error, 'stack')
  if (typeof stack !== 'string') return ''
  const after = stack.split(path)[1] ?? stack.split(pathToFileURL(path).href)[1]
  return /^(?:\?load=\d+)?(:\d+)/.exec(after ?? '')?.[1] ?? ''
}

/** The default export, together with the hooks among the named exports. */
function joinExports(file: string, { default: settings = {}, ...named }: Record<string, unknown>): unknown {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return settings
  // Node makes the settings of a CommonJS module named exports as well.
  const others = Object.keys(named).filter((name) => !Object.hasOwn(settings, name))
  for (const name of others) {
    const hook = nearest(name, HOOK_NAMES)
    if (hook === undefined || hook === name) continue
    throw new ConfigError(`${file}: export ${name}: unknown hook (did you mean ${hook}?)`)
  }
  const hooks = others.filter((name) => (HOOK_NAMES as readonly string[]).includes(name))
  return { ...settings, ...Object.fromEntries(hooks.map((name) => [name, named[name]])) }
}
