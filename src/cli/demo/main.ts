#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { main } from '../run.ts'
import { DemoBackend } from './backend.ts'

const backends = [
  new DemoBackend('crimson', '#c2255c'),
  new DemoBackend('emerald', '#2b8a3e'),
  new DemoBackend('sapphire', '#1c7ed6'),
]

function close(): void {
  for (const backend of backends) backend.close()
}

const { PORT = '8080', ADMIN_PORT = '9000' } = process.env
await Promise.all(backends.map((backend) => backend.listen()))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)
process.stdout.write('badass demo: three backends behind the address below; Ctrl-C ends it\n')
await main([
  ...['--config', fileURLToPath(new URL('settings.js', import.meta.url))],
  ...['--listen', `127.0.0.1:${PORT}`],
  ...['--admin', `127.0.0.1:${ADMIN_PORT}`],
  ...backends.map(({ id, port }) => `${port},id=${id}`),
])
// It could not start.
if (process.exitCode) close()
