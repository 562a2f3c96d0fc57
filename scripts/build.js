// Builds the package into dist/: the engine as a file per room with types, the command as a bundle with its libraries.
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { rollup } from 'rollup'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const command = join(root, 'src', 'cli')
const dist = join(root, 'dist')
const output = join(dist, 'cli')
const assets = join(output, 'static')

rmSync(dist, { recursive: true, force: true })
compile()
await joinModules()
const { metafile } = await bundle()
copyAssets()
writeFileSync(join(root, 'THIRD-PARTY-NOTICES'), notices([...packagesOf(metafile), 'uplot']))

/** Builds the engine as one module per source file, with types. */
function compile() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

/** Joins the modules of each room: to load a hundred files takes longer than to run them. The code stays readable. */
async function joinModules() {
  const entries = [
    'index',
    'balancer',
    'sticky',
    'router',
    ...['parser', 'proxy', 'balancer', 'sticky', 'router'].map((room) => `${room}/index`),
  ]
  const engine = await rollup({
    input: Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.js`)])),
    external: /^node:/,
    treeshake: false,
  })
  const modules = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  for (const name of modules) rmSync(join(dist, name))
  await engine.write({
    dir: dist,
    chunkFileNames: '[name].js',
    minifyInternalExports: false,
    hoistTransitiveImports: false,
    manualChunks(file) {
      const [room, ...rest] = relative(dist, file).split(sep)
      if (rest.length > 0) return room
      return entries.includes(room.slice(0, -'.js'.length)) ? undefined : 'shared'
    },
  })
}

/** Bundles the command and its workers. All files are in one folder, so relative paths are the same in each. */
function bundle() {
  return build({
    absWorkingDir: root,
    entryPoints: { main: join(command, 'main.ts'), worker: join(command, 'workers', 'main.ts') },
    outdir: output,
    bundle: true,
    minifyWhitespace: true,
    minifySyntax: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // jsonc-parser's CommonJS build calls a `require` that cannot be bundled.
    mainFields: ['module', 'main'],
    define: { PACKAGE_VERSION: JSON.stringify(version) },
    metafile: true,
    logLevel: 'warning',
    plugins: [{ name: 'engine', setup: keepEngineOutside }],
    // Bundled CommonJS libraries call `require` for modules of Node.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'\nconst require = __createRequire(import.meta.url)",
    },
  })
}

/** The engine is imported, not bundled: an embedder's config module and the command share one `Head` and one `ProxyError`. */
function keepEngineOutside({ onResolve }) {
  onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
    const source = resolve(resolveDir, path)
    const isOutside = resolveDir.startsWith(command) && !source.startsWith(command + sep)
    // Functions that all rooms share have no state: the command has copies.
    if (!isOutside || basename(source) !== 'index.ts') return undefined
    const compiled = join(dist, relative(join(root, 'src'), source)).replace(/\.ts$/, '.js')
    return { path: relative(output, compiled).replaceAll(sep, '/'), external: true }
  })
}

/** The admin page's files, and what it draws graphs with. */
function copyAssets() {
  cpSync(join(command, 'admin', 'static'), assets, { recursive: true })
  const uplot = join(root, 'node_modules', 'uplot', 'dist')
  cpSync(join(uplot, 'uPlot.esm.js'), join(assets, 'uplot.js'))
  cpSync(join(uplot, 'uPlot.min.css'), join(assets, 'uplot.css'))
}

/** The packages whose code is in the bundle. */
function packagesOf({ outputs }) {
  const files = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs))
  const names = files.map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
  return new Set(names.filter((name) => name !== undefined))
}

/** The full licence text of each package. */
function notices(names) {
  const texts = [...new Set(names)].sort().map((name) => {
    const folder = join(root, 'node_modules', name)
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one))
    if (!file) throw new Error(`${name}: has no licence file`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  })
  return ['The badass command contains code of these packages.\n', ...texts].join(`\n${'-'.repeat(80)}\n\n`)
}
