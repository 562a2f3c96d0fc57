// Installs programs that come as npm packages, each in its own folder. They are not dependencies of this package.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a command, and returns whether it ended with 0. */
export function run(command, args, path = '') {
  const env = { ...process.env, PATH: path + process.env.PATH }
  return spawnSync(command, args, { cwd: root, env, stdio: 'inherit' }).status === 0
}

/** Installs a package below node_modules/.cache unless it exists. Returns the path of one of its files. */
export function install(packageName, version, file) {
  const directory = join(root, 'node_modules', '.cache', 'programs', packageName.replaceAll('/', '-'), version)
  const program = join(directory, 'node_modules', packageName, file)
  if (!existsSync(program)) {
    mkdirSync(directory, { recursive: true })
    // The package for this platform needs no install script.
    const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts']
    run('npm', ['install', '--prefix', directory, ...options, `${packageName}@${version}`])
  }
  if (!existsSync(program)) {
    console.error(`cannot install ${packageName}@${version}`)
    process.exit(1)
  }
  chmodSync(program, 0o755)
  return program
}
