// What `npm start` runs: three backends, and the badass command in front of them in the same process.
import { fileURLToPath } from 'node:url'
import { DemoBackend } from './backend.js'

const CTRL_C = 3

const backends = [
  new DemoBackend('crimson', '#c2255c', restartAll),
  new DemoBackend('emerald', '#2b8a3e', restartAll),
  new DemoBackend('sapphire', '#1c7ed6', restartAll),
]

/** @param {number} ms */
function restartAll(ms) {
  for (const backend of backends) backend.crash(ms)
}

function close() {
  for (const backend of backends) backend.close()
}

const { PORT = '8080', ADMIN_PORT = '9000' } = process.env
await Promise.all(backends.map((backend) => backend.listen()))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close)
// In raw mode Ctrl-C arrives as a byte. As a signal it would also kill the shell that npm started, and npm would fail.
if (process.stdin.isTTY) {
  process.stdin.setRawMode(true).unref()
  process.stdin.on('data', (keys) => keys.includes(CTRL_C) && process.emit('SIGINT'))
}
process.stdout.write('badass demo: three backends behind the address below; Ctrl-C ends it\n')

process.argv = [
  ...process.argv.slice(0, 2),
  ...['--config', fileURLToPath(new URL('settings.js', import.meta.url))],
  ...['--listen', `127.0.0.1:${PORT}`],
  ...['--admin', `127.0.0.1:${ADMIN_PORT}`],
  ...backends.map(({ id, port }) => `${port},id=${id}`),
]
const command = '../../dist/cli/main.js'
await import(command)
// The command could not start.
if (process.exitCode) close()
