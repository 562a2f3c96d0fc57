// Runs the tests on each supported Node, or on the named ones: `npm run test:matrix -- 20 26`.
// It uses the lowest version that package.json allows, and the newest release of each later major version.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { install, root, run } from './install.mjs'

/** Length of the end of a failed run's output that is shown again. The failed tests stand there. */
const SHOWN_AGAIN = 20_000

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
  const node = install(`node-${process.platform}-${process.arch}`, VERSIONS[name], join('bin', 'node'))
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`\nNode ${version}`)
  const start = Date.now()
  const { isPassed, end } = await test(node)
  outcomes.push({ version, isPassed, end, seconds: Math.round((Date.now() - start) / 1000) })
}
for (const { version, isPassed, end } of outcomes) {
  if (!isPassed) console.log(`\nNode ${version}, the end of the output:\n${end}`)
}
console.log()
for (const { version, isPassed, seconds } of outcomes) {
  console.log(`Node ${version}: ${isPassed ? 'passed' : 'FAILED'}, ${seconds} s`)
}
if (!outcomes.every(({ isPassed }) => isPassed)) process.exitCode = 1

/** Runs all tests with this Node. Shows the output, and returns its end. */
async function test(node) {
  // First in PATH, so that child processes of the tests use it too.
  const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH }
  const options = ['run', '--silent=passed-only']
  const child = spawn(node, [join('node_modules', 'vitest', 'vitest.mjs'), ...options], { cwd: root, env })
  let end = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text)
      end = (end + text).slice(-SHOWN_AGAIN)
    })
  }
  const [code] = await once(child, 'close')
  return { isPassed: code === 0, end }
}
