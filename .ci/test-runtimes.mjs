// Runs test/runtimes on this Node, Bun and Deno, or on the named ones: `npm run test:runtimes -- bun`.
import { join } from 'node:path'
import { install, root, run } from './install.mjs'

const isArm = process.arch === 'arm64'
const RUNTIMES = {
  node: () => [process.execPath],
  bun: () => [install(`@oven/bun-linux-${isArm ? 'aarch64' : 'x64'}`, '1.4', join('bin', 'bun'))],
  deno: () => [install(`@deno/linux-${isArm ? 'arm64' : 'x64'}-glibc`, '2.9', 'deno'), 'run', '--allow-all'],
}

const names = process.argv.slice(2)
const wrong = names.find((name) => !Object.hasOwn(RUNTIMES, name))
if (wrong !== undefined) {
  console.error(`test:runtimes: got '${wrong}'; takes any of ${Object.keys(RUNTIMES).join(', ')}, or nothing for all`)
  process.exit(2)
}
if (!run('npm', ['run', '--silent', 'build'])) process.exit(1)
const failed = (names.length > 0 ? names : Object.keys(RUNTIMES)).filter((name) => {
  const [program, ...args] = RUNTIMES[name]()
  return !run(program, [...args, join(root, 'test', 'runtimes', 'main.mjs')])
})
if (failed.length > 0) {
  console.error(`test:runtimes: failed on ${failed.join(', ')}`)
  process.exitCode = 1
}
