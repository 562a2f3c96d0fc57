#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { createStickyServer, type ProxyServer } from '../index.ts'
import { DemoBackend } from './backend.ts'

/** How long open connections may take to finish after Ctrl-C, in ms. */
const GRACE_MS = 3_000

const backends = [
  new DemoBackend('crimson', '#c2255c'),
  new DemoBackend('emerald', '#2b8a3e'),
  new DemoBackend('sapphire', '#1c7ed6'),
]

/** Keeps a client at the backend that its sticky cookie names; a new one is sent to any. */
function createProxy(): ProxyServer {
  return createStickyServer(
    (head, sticky) => {
      // Hooks see the first request of a connection. Asked to close, a backend answers one request on each, so that
      // every page of a browser passes here; a WebSocket has a connection of its own anyway.
      if (!head.has('upgrade')) head.headers.Connection = 'close'
      const home = backends.find(({ id }) => id === sticky) ?? backends[Math.floor(Math.random() * backends.length)]!
      return { port: home.port, host: '127.0.0.1', sticky: home.id }
    },
    undefined,
    { cookie: { secret: randomBytes(32), indirect: true } },
  )
}

function fail(line: string, status: number): never {
  process.stderr.write(`badass: ${line}\n`)
  process.exit(status)
}

function portFrom(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  return fail(`PORT: got ${JSON.stringify(text)}; takes a number from 0 to 65535`, 2)
}

async function stop(proxy: ProxyServer): Promise<void> {
  process.stdout.write('\ndraining; once more to end at once\n')
  const drained = proxy.drain(GRACE_MS)
  for (const backend of backends) backend.close()
  await drained
  process.exit(0)
}

const port = portFrom(process.env.PORT || '8080')
const proxy = createProxy()
await Promise.all(backends.map((backend) => backend.listen()))
proxy.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EADDRINUSE') fail(`port ${port} is taken; PORT=8081 npm start takes another`, 1)
  fail(`cannot listen on port ${port}: ${error.message}`, 1)
})
proxy.listen(port, '127.0.0.1', () => {
  const address = proxy.address()
  const actual = typeof address === 'object' && address ? address.port : port
  process.stdout.write(`badass demo: three backends behind http://localhost:${actual}/ (Ctrl-C ends it)\n`)
})

let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isStopping) process.exit(130)
    isStopping = true
    void stop(proxy)
  })
}
