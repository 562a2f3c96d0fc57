import { isUtf8 } from 'node:buffer'
import { readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from './config.ts'
import { findJsonMistake } from './json.ts'
import { HOOK_NAMES } from './schema.ts'
import { nearest, show } from './words.ts'

const require = createRequire(import.meta.url)

/** @throws {ConfigError} */
async function readText(place: string, path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new ConfigError(`${place}: cannot read ${show(path)}: ${reasonOf(error)}`)
  })
  // Each wrong byte would be read as the same character: of a secret of random bytes little would be left.
  if (!isUtf8(bytes)) throw new ConfigError(`${place}: got ${show(path)}, which is not UTF-8; takes a text file`)
  // Not what an editor puts before the text to say that it is UTF-8.
  return bytes.toString().replace(/^\ufeff/, '')
}

/** 'no such file or directory', without the code before it and the call after it. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return /^[A-Z]+: ([^,]+)/.exec(text)?.[1] ?? text
}

/** The lines of a file that have something on them, without the blanks around. @throws {ConfigError} where there are none */
export async function readLines(place: string, path: string): Promise<string[]> {
  const lines = (await readText(place, path)).split('\n').map((line) => line.trim())
  const full = lines.filter((line) => line !== '')
  if (full.length === 0)
    throw new ConfigError(`${place}: got ${show(path)}, which is empty; takes a file with a line of text`)
  return full
}

/** What a config file says, not checked yet. @throws {ConfigError} where it cannot be read */
export async function readSettings(file: string): Promise<unknown> {
  const type = extname(file)
  if (type === '.js' || type === '.mjs') return await importSettings(file)
  if (type !== '.json')
    throw new ConfigError(`--config: got ${show(file)}; takes a file that ends in .json, .js or .mjs`)
  const text = await readText('--config', file)
  try {
    return JSON.parse(text)
  } catch (error) {
    const mistake = findJsonMistake(text)
    if (!mistake) throw new ConfigError(`${file}: ${reasonOf(error)}`)
    throw new ConfigError(`${file}:${mistake.line}:${mistake.column}: got ${mistake.got}; takes ${mistake.takes}`)
  }
}

let imports = 0

/** The settings and hooks of a JS module, which is run anew each time. */
async function importSettings(file: string): Promise<unknown> {
  await readText('--config', file)
  const path = await realpath(file)
  const url = pathToFileURL(path)
  url.searchParams.set('load', String(++imports))
  // A CommonJS module is kept under its path, whatever the query.
  delete require.cache[path]
  try {
    return joinExports(file, await import(url.href))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${file}${lineIn(error, path)}: ${firstLineOf(error)}`)
  }
}

/** What a module of the user's threw, in a line. */
export function firstLineOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1).join() : show(error)
}

/** ':3', the line of the module that an error is about, where its stack says it. */
function lineIn(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const after = stack.split(path)[1] ?? stack.split(pathToFileURL(path).href)[1]
  return /^(?:\?load=\d+)?(:\d+)/.exec(after ?? '')?.[1] ?? ''
}

/** The default export with the hooks among the named ones. */
function joinExports(file: string, { default: settings = {}, ...named }: Record<string, unknown>): unknown {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return settings
  // Not the settings: those of a CommonJS module are exports by name as well.
  const others = Object.keys(named).filter((name) => !Object.hasOwn(settings, name))
  for (const name of others) {
    const hook = nearest(name, HOOK_NAMES)
    if (hook === undefined || hook === name) continue
    throw new ConfigError(`${file}: export ${name}: is no hook; did you mean ${hook}?`)
  }
  const hooks = others.filter((name) => (HOOK_NAMES as readonly string[]).includes(name))
  return { ...settings, ...Object.fromEntries(hooks.map((name) => [name, named[name]])) }
}
