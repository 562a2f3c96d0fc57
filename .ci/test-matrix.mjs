// Runs the tests with each Node that the package is for, or with those named: `npm run test:matrix -- 20 26`.
// Of the oldest it takes the lowest version that package.json promises, of the others the newest there is.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const VERSIONS = { 20: engines.node.replace(/^>=(\d+\.\d+)$/, '$1.0'), 22: '22', 24: '24', 26: '26' }

const names = process.argv.slice(2)
const wrong = names.find((name) => !Object.hasOwn(VERSIONS, name))
if (wrong !== undefined) {
  console.error(`test:matrix: got '${wrong}'; takes any of ${Object.keys(VERSIONS).join(', ')}, or nothing for all`)
  process.exit(2)
}

if (!run('npm', ['run', '--silent', 'build'])) process.exit(1)
const outcomes = []
for (const name of names.length > 0 ? names : Object.keys(VERSIONS)) {
  const node = install(VERSIONS[name])
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`\nNode ${version}`)
  const start = Date.now()
  // First on the PATH, so that what the tests start runs on it as well.
  const isPassed = run(node, [join('node_modules', 'vitest', 'vitest.mjs'), 'run'], dirname(node) + delimiter)
  outcomes.push({ version, isPassed, seconds: Math.round((Date.now() - start) / 1000) })
}
console.log()
for (const { version, isPassed, seconds } of outcomes) {
  console.log(`Node ${version}: ${isPassed ? 'passed' : 'FAILED'}, ${seconds} s`)
}
if (!outcomes.every(({ isPassed }) => isPassed)) process.exitCode = 1

/** Whether the command ends well. */
function run(command, args, path = '') {
  const env = { ...process.env, PATH: path + process.env.PATH }
  return spawnSync(command, args, { cwd: root, env, stdio: 'inherit' }).status === 0
}

/** The path of that Node, which is installed when it is not there yet. */
function install(version) {
  const name = `node-${process.platform}-${process.arch}`
  const directory = join(root, 'node_modules', '.cache', 'nodes', version)
  const node = join(directory, 'node_modules', name, 'bin', 'node')
  if (existsSync(node)) return node
  mkdirSync(directory, { recursive: true })
  run('npm', ['install', '--prefix', directory, '--no-save', '--no-audit', '--no-fund', `${name}@${version}`])
  if (existsSync(node)) return node
  console.error(`test:matrix: cannot install ${name}@${version}`)
  process.exit(1)
}
