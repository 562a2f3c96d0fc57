import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { check, command, onceOver } from './checks.mjs'
import { ask, backend, download, get, host, listen, SIZE, upload } from './wire.mjs'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Starts the command, and waits for the ports that it says it listens on. */
async function start(count, ...args) {
  const [file, ...before] = command
  const child = spawn(file, [...before, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close')
  onceOver(() => void child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  const ports = await new Promise((resolve, reject) => {
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        said[name] += text
        const found = [...said.stderr.matchAll(/https?:\/\/[^\s/]*:(\d+)\//g)].map(([, port]) => Number(port))
        if (found.length >= count) resolve(found)
      })
    }
    child.on('error', reject)
    void closed.then(([code]) => reject(new Error(`ended with ${code}: ${said.stderr}`)))
  })
  return { child, ports, said, closed }
}

await check('command: 100 MB down and up, sticky, forwarded, log and admin page', async () => {
  const target = String(await listen(backend()))
  const args = ['--listen', `${host}:0`, '--sticky', '--forwarded', '--log', 'json', '--admin', `${host}:0`]
  const { child, ports, said, closed } = await start(2, ...args, '--health', 'tcp', target)
  const [port, admin] = ports
  await download(port, SIZE, { expected: /\r\nset-cookie: sticky=/i })
  await upload(port, SIZE)
  const health = await fetch(`http://${host}:${admin}/healthz`)
  assert.equal(health.status, 200)
  assert.match(await (await fetch(`http://${host}:${admin}/metrics`)).text(), /badass_/)
  process.kill(child.pid, 'SIGTERM')
  assert.deepEqual(await closed, [0, null], said.stderr)
  const lines = said.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(lines.length, 2)
  assert.match(lines[0].client, /^127\.0\.0\.1:\d+$/)
  assert(lines[0].bytesOut > SIZE)
})

await check('command: with workers', async () => {
  const target = String(await listen(backend()))
  const { child, ports, closed } = await start(1, '--listen', `${host}:0`, '--workers', '2', target)
  for (let i = 0; i < 4; i++) assert.match(await ask(ports[0], get('/3')), /^HTTP\/1.1 200 /)
  process.kill(child.pid, 'SIGTERM')
  assert.deepEqual(await closed, [0, null])
})

await check('command: a mistake is one line, and 2', async () => {
  const [file, ...before] = command
  const child = spawn(file, [...before, MAIN, '--listne', '1'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text))
  assert.deepEqual(await once(child, 'close'), [2, null])
  assert.match(said, /--listne/)
})
