/** Milliseconds until a check that has not ended counts as failed. */
const LIMIT_MS = 120_000

/** The name and version of what runs this. */
export const runtime = process.versions.bun
  ? `Bun ${process.versions.bun}`
  : 'Deno' in globalThis
    ? `Deno ${process.versions.deno}`
    : `Node ${process.versions.node}`

/** How to run a script in a child process, with what runs this. */
export const command = 'Deno' in globalThis ? [process.execPath, 'run', '--allow-all'] : [process.execPath]

const failures = []

/** Runs one check and prints what came of it. The checks after a failed one still run. */
export async function check(title, work) {
  const start = performance.now()
  let timer
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${LIMIT_MS / 1000} s`)), LIMIT_MS)
  })
  try {
    await Promise.race([work(), limit])
    console.log(`  passed  ${title} (${Math.round(performance.now() - start)} ms)`)
  } catch (error) {
    failures.push(title)
    console.log(`  FAILED  ${title}: ${error?.stack ?? error}`)
  } finally {
    clearTimeout(timer)
    for (const release of releases.splice(0).reverse()) await release()
  }
}

const releases = []

/** Calls this when the check that runs now is over. */
export function onceOver(release) {
  releases.push(release)
}

/** Ends the process: with 1 where a check failed. */
export function finish() {
  console.log(failures.length === 0 ? `${runtime}: all passed` : `${runtime}: ${failures.length} FAILED`)
  process.exit(failures.length === 0 ? 0 : 1)
}
